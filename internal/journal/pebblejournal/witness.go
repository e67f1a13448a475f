package pebblejournal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/popkv/popkv/internal/journal"
)

const (
	witnessName     = "witness"
	witnessMagic    = "popkvwit"
	witnessSlots    = 2
	witnessStride   = 4096 // bytes between slots, so that no torn write hits both
	witnessInterval = time.Second
)

// A witness is the file that remembers the last acknowledged batch outside the
// engine. Each of its two slots is
//
//	magic 8 | identity 16 | sequence 8 | root digest 16 | CRC-32C of these 4
//
// big-endian. One slot is always synced: the other one is overwritten with
// each batch and synced once a second, and then they change places.
type witness struct {
	latch *latch
	id    journal.ID

	mu    sync.Mutex
	file  vfs.File
	slot  int // the one that is overwritten
	last  mark
	timer *time.Timer // of the next sync; nil while everything is synced
	ended bool
}

// A mark is what the witness knows of one batch.
type mark struct {
	sequence uint64
	digest   digest
}

func (m mark) encode(id journal.ID) []byte {
	b := append([]byte(witnessMagic), id[:]...)
	b = binary.BigEndian.AppendUint64(b, m.sequence)
	b = m.digest.append(b)
	return binary.BigEndian.AppendUint32(b, checksum(b))
}

const witnessSlotBytes = len(witnessMagic) + 16 + 8 + digestBytes + 4

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func decodeMark(b []byte, id journal.ID) (mark, bool) {
	if len(b) != witnessSlotBytes || string(b[:8]) != witnessMagic || journal.ID(b[8:24]) != id ||
		binary.BigEndian.Uint32(b[witnessSlotBytes-4:]) != checksum(b[:witnessSlotBytes-4]) {
		return mark{}, false
	}
	return mark{binary.BigEndian.Uint64(b[24:]), decodeDigest(b[32:])}, true
}

// readWitness returns the newest valid slot of the file.
func readWitness(fs vfs.FS, dir string, id journal.ID) (mark, error) {
	f, err := fs.Open(fs.PathJoin(dir, witnessName))
	if err != nil {
		return mark{}, err
	}
	defer f.Close()
	var newest mark
	for slot := range witnessSlots {
		b := make([]byte, witnessSlotBytes)
		if _, err := f.ReadAt(b, int64(slot)*witnessStride); err != nil && !errors.Is(err, io.EOF) {
			return mark{}, err
		}
		if m, ok := decodeMark(b, id); ok && m.sequence > newest.sequence {
			newest = m
		}
	}
	if newest.sequence == 0 {
		return mark{}, fmt.Errorf("%w: %s holds no valid slot", ErrDamaged, witnessName)
	}
	return newest, nil
}

// openWitness makes both slots say m, synced, creating the file if need be.
func openWitness(fs vfs.FS, dir string, id journal.ID, m mark, l *latch) (*witness, error) {
	f, err := fs.OpenReadWrite(fs.PathJoin(dir, witnessName), categoryPopkv)
	if err != nil {
		return nil, err
	}
	w := &witness{latch: l, id: id, file: f, last: m}
	for range witnessSlots {
		if err := errors.Join(w.put(), w.turn()); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return w, nil
}

// write notes a batch. The note is on disk within a second; a process that is
// killed leaves it behind at once.
func (w *witness) write(m mark) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return errClosed
	}
	w.last = m
	if w.timer == nil {
		w.timer = time.AfterFunc(witnessInterval, w.syncLater)
	}
	return w.put()
}

func (w *witness) put() error {
	_, err := w.file.WriteAt(w.last.encode(w.id), int64(w.slot)*witnessStride)
	return err
}

// turn syncs the slot that was written and lets the other one be overwritten.
func (w *witness) turn() error {
	err := w.file.SyncData()
	w.slot = (w.slot + 1) % witnessSlots
	return err
}

func (w *witness) syncLater() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		return // closed meanwhile
	}
	w.timer = nil
	if err := w.turn(); err != nil {
		w.latch.trip(fmt.Errorf("sync %s: %w", witnessName, err))
	}
}

// close syncs the file if clean is true, and releases it.
func (w *witness) close(clean bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	var err error
	if clean {
		err = errors.Join(w.turn(), w.put(), w.turn())
	}
	return errors.Join(err, w.file.Close())
}
