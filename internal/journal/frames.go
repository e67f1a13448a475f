package journal

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/popkv/popkv"
)

// A backup is one stream: a line of text, then frames of
//
//	1 B  kind
//	4 B  length of the body, big-endian
//	n B  body
//
// in the order
//
//	R...         catalog records: key's length (uvarint), key, value as stored
//	(S R... Z)   each store: its id, its records, its end. Without its Z a store
//	             does not count: the view that it was read from had moved on
//	M            the manifest, JSON
//	E            SHA-256 of every byte before this frame
//
// Values are the sealed envelopes of the source, so each checks itself under
// its key before anything of it is used.
const backupHeader = "popkv backup 1\n"

const (
	frameRecord     = 'R'
	frameStore      = 'S'
	frameStoreEnd   = 'Z'
	frameManifest   = 'M'
	frameEnd        = 'E'
	frameHeadBytes  = 5
	maxRecordFrame  = MaxTxnBytes + 1<<10
	maxManifestSize = 1 << 30
)

// A Manifest lists what a backup holds.
type Manifest struct {
	Created        time.Time    `json:"created"`
	CatalogRecords int          `json:"catalog_records"`
	Stores         []StoreEntry `json:"stores"`
	// Dropped are stores that the catalog part names but that were deleted
	// before their turn came. A restore forgets them.
	Dropped []string `json:"dropped,omitempty"`
}

// A StoreEntry is one store of a backup, as it was when it was read.
type StoreEntry struct {
	ID        string `json:"id"`
	Account   string `json:"account"`
	Status    string `json:"status"`
	Lineage   string `json:"lineage"`
	Version   uint64 `json:"version"`
	Items     int    `json:"items"`
	SizeBytes int64  `json:"size_bytes"`
	Digest    string `json:"digest"`
	Chain     string `json:"chain"`
}

func entryOf(m *Meta) StoreEntry {
	return StoreEntry{
		ID:        m.Store.String(),
		Account:   m.Account,
		Status:    string(m.Status),
		Lineage:   fmt.Sprintf("%x", m.Lineage),
		Version:   m.Version,
		Items:     m.Items,
		SizeBytes: m.SizeBytes,
		Digest:    m.Digest.String(),
		Chain:     m.Chain.String(),
	}
}

// A frameWriter writes and hashes frames. The first error stays.
type frameWriter struct {
	w   *bufio.Writer
	sum hash.Hash
	err error
}

func newFrameWriter(w io.Writer) *frameWriter {
	f := &frameWriter{w: bufio.NewWriterSize(w, 1<<16), sum: sha256.New()}
	f.write([]byte(backupHeader))
	return f
}

func (f *frameWriter) write(b []byte) {
	f.sum.Write(b)
	if f.err == nil {
		_, f.err = f.w.Write(b)
	}
}

func (f *frameWriter) frame(kind byte, parts ...[]byte) {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	f.write(binary.BigEndian.AppendUint32([]byte{kind}, uint32(n)))
	for _, p := range parts {
		f.write(p)
	}
}

func (f *frameWriter) record(key string, value []byte) {
	f.frame(frameRecord, binary.AppendUvarint(nil, uint64(len(key))), []byte(key), value)
}

// end writes the manifest and the sum, and flushes.
func (f *frameWriter) end(m *Manifest) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	f.frame(frameManifest, text)
	f.frame(frameEnd, f.sum.Sum(nil))
	if f.err == nil {
		f.err = f.w.Flush()
	}
	return f.err
}

// A backupReader is told what a backup holds, in order.
type backupReader interface {
	catalogRecord(ctx context.Context, kv KV) error
	store(ctx context.Context, view *storeView) error
}

func badBackup(format string, args ...any) error {
	return popkv.Errorf(popkv.Invalid, "the backup is damaged: "+format, args...)
}

// readBackup reads a stream to its end, hands over its parts, and fails unless
// every byte of it is as it was written.
func readBackup(ctx context.Context, r io.Reader, to backupReader) (Manifest, error) {
	var m Manifest
	f := frameReader{r: bufio.NewReaderSize(r, 1<<16), sum: sha256.New()}
	if head := f.take(len(backupHeader)); f.err != nil || string(head) != backupHeader {
		return m, popkv.Errorf(popkv.Invalid, "this is no backup, or one of a newer version")
	}
	var open *storeView
	for {
		before := f.sum.Sum(nil)
		kind, body := f.next()
		if f.err == nil {
			f.err = context.Cause(ctx)
		}
		if f.err != nil {
			return m, f.err
		}
		switch {
		case kind == frameRecord && m.Created.IsZero():
			kv, err := recordOf(body)
			if err != nil {
				return m, err
			}
			if open != nil {
				open.records = append(open.records, kv)
			} else if err := to.catalogRecord(ctx, kv); err != nil {
				return m, err
			}
		case kind == frameStore && len(body) == 16 && m.Created.IsZero():
			open = &storeView{id: popkv.StoreID(body)}
		case kind == frameStoreEnd && open != nil:
			if !slices.IsSortedFunc(open.records, compareKeys) {
				return m, badBackup("records out of order")
			}
			if err := to.store(ctx, open); err != nil {
				return m, err
			}
			open = nil
		case kind == frameManifest && m.Created.IsZero():
			open = nil
			if err := json.Unmarshal(body, &m); err != nil || m.Created.IsZero() {
				return m, badBackup("the manifest cannot be read")
			}
		case kind == frameEnd && !m.Created.IsZero():
			if !bytes.Equal(body, before) {
				return m, badBackup("the hash over all of it does not match")
			}
			if _, err := f.r.ReadByte(); err != io.EOF {
				return m, badBackup("something follows its end")
			}
			return m, nil
		default:
			return m, badBackup("a part of kind %q out of place", kind)
		}
	}
}

// recordOf splits the body of a record frame.
func recordOf(body []byte) (KV, error) {
	n, width := binary.Uvarint(body)
	if width <= 0 || n > uint64(len(body)-width) {
		return KV{}, badBackup("a record without a key")
	}
	end := width + int(n)
	return KV{Key: string(body[width:end]), Value: body[end:], Rev: 1}, nil
}

type frameReader struct {
	r   *bufio.Reader
	sum hash.Hash
	err error
}

// take reads and hashes n bytes; memory grows with what is really there.
func (f *frameReader) take(n int) []byte {
	if f.err != nil {
		return nil
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, f.r, int64(n)); err != nil {
		f.err = popkv.Wrap(popkv.Invalid, err, "the backup ends too early or cannot be read")
		return nil
	}
	f.sum.Write(b.Bytes())
	return b.Bytes()
}

func (f *frameReader) next() (kind byte, body []byte) {
	head := f.take(frameHeadBytes)
	if f.err != nil {
		return 0, nil
	}
	n := binary.BigEndian.Uint32(head[1:])
	limit := uint32(maxRecordFrame)
	if head[0] == frameManifest {
		limit = maxManifestSize
	}
	if n > limit {
		f.err = badBackup("a part of %d bytes", n)
		return 0, nil
	}
	return head[0], f.take(int(n))
}

// A storeView is the records of one store of a backup as a [View].
type storeView struct {
	id      popkv.StoreID
	records []KV
}

func compareKeys(a, b KV) int { return strings.Compare(a.Key, b.Key) }

// Rev is the same for all: nothing changes.
func (v *storeView) Rev() Rev { return 1 }

// Close does nothing.
func (v *storeView) Close() {}

// Get is [View.Get].
func (v *storeView) Get(key string) ([]byte, Rev, error) {
	i, ok := slices.BinarySearchFunc(v.records, KV{Key: key}, compareKeys)
	if !ok {
		return nil, 0, nil
	}
	return v.records[i].Value, v.records[i].Rev, nil
}

// Scan is [View.Scan].
func (v *storeView) Scan(from, end string, limit int) iter.Seq2[KV, error] {
	return func(yield func(KV, error) bool) {
		i, _ := slices.BinarySearchFunc(v.records, KV{Key: from}, compareKeys)
		for n := 1; i < len(v.records) && (end == "" || v.records[i].Key < end); i, n = i+1, n+1 {
			if !yield(v.records[i], nil) || n == limit {
				return
			}
		}
	}
}
