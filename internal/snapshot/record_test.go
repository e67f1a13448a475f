package snapshot

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/popkv/popkv"
	"pgregory.net/rapid"
)

func plainRecord() *Record {
	return &Record{
		Kind:      Plain,
		Store:     popkv.StoreID{0x11, 15: 0x12},
		Lineage:   [16]byte{0x21, 15: 0x22},
		Version:   7,
		Time:      time.UnixMilli(1_700_000_000_123).UTC(),
		Principal: "arn:aws:iam::000000000000:root",
		CommitID:  [16]byte{0x31, 15: 0x32},
		Change: Change{
			Deletes: []string{"a", "gone/é"},
			Puts:    []popkv.Item{{Key: "b", Value: "two"}, {Key: "empty"}, {Key: "\x00", Value: "zero"}},
		}.sorted(),
		Items:     3,
		SizeBytes: 14,
		Prev:      Hash{0x41, 31: 0x42},
		Digest:    Digest{0x51, 15: 0x52},
	}
}

func resetRecord() *Record {
	r := plainRecord()
	r.Kind, r.Change, r.Generation = Reset, Change{}, [16]byte{0x61, 15: 0x62}
	return r
}

// readHex reads a file of hexadecimal bytes with comments.
func readHex(t testing.TB, name string) []byte {
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	b, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

// The files are what older versions of popkv have stored. They never change.
func TestStoredFormatsStayReadable(t *testing.T) {
	for name, record := range map[string]*Record{"record-plain.hex": plainRecord(), "record-reset.hex": resetRecord()} {
		stored := readHex(t, name)
		if diff := cmp.Diff(hex.Dump(stored), hex.Dump(record.Encode())); diff != "" {
			t.Errorf("%s (-stored +encoded):\n%s", name, diff)
		}
		got, err := DecodeRecord(stored)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(record, got); diff != "" {
			t.Errorf("%s (-want +decoded):\n%s", name, diff)
		}
	}
	stored := readHex(t, "chunk.hex")
	s, err := FromChunks(DigestKey{1}, func(yield func([]byte) bool) { yield(stored) })
	if err != nil {
		t.Fatalf("chunk.hex: %v", err)
	}
	want := []popkv.Item{{Key: "a", Value: "1"}, {Key: "b"}, {Key: "é", Value: "two"}}
	if diff := cmp.Diff(want, collect(s, "")); diff != "" {
		t.Errorf("chunk.hex (-want +got):\n%s", diff)
	}
	for chunk := range Chunks(s, 1024) {
		if diff := cmp.Diff(hex.Dump(stored), hex.Dump(chunk)); diff != "" {
			t.Errorf("chunk.hex (-stored +encoded):\n%s", diff)
		}
	}
}

func records() *rapid.Generator[*Record] {
	return rapid.Custom(func(t *rapid.T) *Record {
		id := func(name string) [16]byte { return [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, name)) }
		r := &Record{
			Kind: Plain, Store: id("store"), Lineage: id("lineage"), CommitID: id("commit"), Digest: id("digest"),
			Version:   rapid.Uint64().Draw(t, "version"),
			Time:      time.UnixMilli(rapid.Int64Range(-1<<50, 1<<50).Draw(t, "time")).UTC(),
			Principal: rapid.String().Draw(t, "principal"),
			Items:     rapid.IntRange(0, math.MaxInt).Draw(t, "items"),
			SizeBytes: rapid.Int64Range(0, math.MaxInt64).Draw(t, "size"),
			Prev:      Hash(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "prev")),
		}
		if rapid.Bool().Draw(t, "reset") {
			r.Kind, r.Generation = Reset, id("generation")
			return r
		}
		for _, k := range rapid.SliceOfNDistinct(keys(), 0, 10, rapid.ID).Draw(t, "keys") {
			if rapid.Bool().Draw(t, "put") {
				r.Change.Puts = append(r.Change.Puts, popkv.Item{Key: k, Value: values().Draw(t, "value")})
			} else {
				r.Change.Deletes = append(r.Change.Deletes, k)
			}
		}
		return r
	})
}

func TestARecordComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := records().Draw(t, "record")
		before := cmp.Diff(nil, r.Change)
		b := r.Encode()
		if cmp.Diff(nil, r.Change) != before {
			t.Fatal("Encode changed its record")
		}
		got, err := DecodeRecord(b)
		if err != nil {
			t.Fatal(err)
		}
		want := *r
		want.Change = r.Change.sorted()
		if diff := cmp.Diff(&want, got); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
		if !bytes.Equal(got.Encode(), b) {
			t.Fatal("the decoded record has other bytes")
		}
	})
}

func TestEveryFlippedBitOfARecordIsFound(t *testing.T) {
	for _, r := range []*Record{plainRecord(), resetRecord()} {
		b := r.Encode()
		for bit := range 8 * len(b) {
			b[bit/8] ^= 1 << (bit % 8)
			if _, err := DecodeRecord(b); !errors.Is(err, ErrDamaged) {
				t.Errorf("bit %d: %v", bit, err)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
	}
}

// The control of the test above: it is the checksum that finds the bit.
func TestWithoutItsChecksumAFlippedBitPasses(t *testing.T) {
	b := plainRecord().Encode()
	b[34+7] ^= 1 // in the version
	r, err := DecodeRecord(appendChecksum(b[:len(b)-checksumBytes]))
	if err != nil || r.Version != 6 {
		t.Errorf("%v %v", r, err)
	}
}

func TestRecordsThatEncodeWouldNotWriteAreRefused(t *testing.T) {
	// body is a record up to its change, of the kind given.
	body := func(kind RecordKind) []byte {
		r := resetRecord()
		r.Principal = ""
		b := r.Encode()
		b = b[:recordFixedBytes+1]
		b[1] = byte(kind)
		return b
	}
	with := func(tail ...byte) []byte { return append(body(Plain), tail...) }
	at := func(offset int, value ...byte) []byte {
		b := append(body(Plain), 0, 0)
		copy(b[offset:], value)
		return b
	}
	negative := binary.BigEndian.AppendUint64(nil, 1<<63)
	for name, test := range map[string]struct {
		body []byte
		want error
	}{
		"a change of nothing is fine":          {with(0, 0), nil},
		"one put and one delete are fine":      {with(1, 1, 'a', 1, 1, 'b', 1, 'v'), nil},
		"no bytes at all":                      {nil, ErrDamaged},
		"a format alone":                       {[]byte{1}, ErrDamaged},
		"a format and a kind alone":            {[]byte{1, 1}, ErrDamaged},
		"format 2":                             {at(0, 2), ErrFormat},
		"kind 0":                               {at(1, 0), ErrFormat},
		"kind 3":                               {at(1, 3), ErrFormat},
		"an item count beyond 63 bits":         {at(66, negative...), ErrDamaged},
		"a size beyond 63 bits":                {at(74, negative...), ErrDamaged},
		"a principal longer than the rest":     {at(130, 3), ErrDamaged},
		"no change":                            {with(), ErrDamaged},
		"no puts":                              {with(0), ErrDamaged},
		"a byte after the end":                 {with(0, 0, 0), ErrDamaged},
		"a reset without generation":           {body(Reset), ErrDamaged},
		"a reset with a short generation":      {append(body(Reset), make([]byte, 15)...), ErrDamaged},
		"a reset with a change":                {append(body(Reset), make([]byte, 18)...), ErrDamaged},
		"a count not in its shortest form":     {with(0x80, 0, 0), ErrDamaged},
		"a length not in its shortest form":    {with(1, 0x81, 0, 'a', 0), ErrDamaged},
		"a count longer than 64 bits":          {with(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0), ErrDamaged},
		"more deletes than bytes":              {with(9, 1, 'a', 0), ErrDamaged},
		"more puts than bytes":                 {with(0, 9, 1, 'a', 0), ErrDamaged},
		"a key longer than the rest":           {with(1, 9, 'a', 0), ErrDamaged},
		"an empty key in deletes":              {with(1, 0, 0), ErrDamaged},
		"an empty key in puts":                 {with(0, 1, 0, 1, 'v'), ErrDamaged},
		"a put without a value":                {with(0, 1, 1, 'a'), ErrDamaged},
		"deletes out of order":                 {with(2, 1, 'b', 1, 'a', 0), ErrDamaged},
		"a key deleted twice":                  {with(2, 1, 'a', 1, 'a', 0), ErrDamaged},
		"puts out of order":                    {with(0, 2, 1, 'b', 0, 1, 'a', 0), ErrDamaged},
		"a key put twice":                      {with(0, 2, 1, 'a', 0, 1, 'a', 0), ErrDamaged},
		"a key put and deleted":                {with(1, 1, 'a', 1, 1, 'a', 0), ErrDamaged},
		"a key put and, after others, deleted": {with(2, 1, 'a', 1, 'c', 2, 1, 'b', 0, 1, 'c', 0), ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			b := appendChecksum(test.body)
			r, err := DecodeRecord(b)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if err == nil && !bytes.Equal(r.Encode(), b) {
				t.Error("accepted but encoded otherwise")
			}
		})
	}
	for _, short := range [][]byte{nil, {0}, {0, 0, 0}} {
		if _, err := DecodeRecord(short); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d bytes: %v", len(short), err)
		}
	}
}

func TestEncodePanicsBeforeARecordCouldBecomeUnreadable(t *testing.T) {
	for name, spoil := range map[string]func(r *Record){
		"no kind":                 func(r *Record) { r.Kind = 0 },
		"unknown kind":            func(r *Record) { r.Kind = 3 },
		"negative items":          func(r *Record) { r.Items = -1 },
		"negative size":           func(r *Record) { r.SizeBytes = -1 },
		"a generation in a plain": func(r *Record) { r.Generation[0] = 1 },
		"a change in a reset":     func(r *Record) { r.Kind = Reset },
		"an empty key":            func(r *Record) { r.Change.Puts[0].Key = "" },
		"a key deleted twice":     func(r *Record) { r.Change.Deletes = []string{"x", "y", "x"} },
		"a key put and deleted":   func(r *Record) { r.Change.Deletes = []string{"b"} },
	} {
		t.Run(name, func(t *testing.T) {
			r := plainRecord()
			spoil(r)
			defer func() {
				if recover() == nil {
					t.Error("encoded")
				}
			}()
			r.Encode()
		})
	}
}

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestDecodingAllocatesInProportionToTheInput(t *testing.T) {
	huge := binary.AppendUvarint(nil, 1<<40)
	head := resetRecord().Encode()[:recordFixedBytes]
	head[1] = byte(Plain)
	deletes := append(append(bytes.Clone(head), 0), huge...)
	puts := append(append(bytes.Clone(head), 0, 0), huge...)
	for name, b := range map[string][]byte{
		"principal": append(bytes.Clone(head), huge...),
		"deletes":   append(deletes, make([]byte, 1000)...),
		"puts":      append(puts, make([]byte, 1000)...),
	} {
		b = appendChecksum(b)
		if n := allocated(func() { DecodeRecord(b) }); n > 16<<10 {
			t.Errorf("%s: %d bytes allocated for a record of %d", name, n, len(b))
		}
	}
	// As many counted elements as can be: each is a few bytes.
	many := append(append(bytes.Clone(head), 0, 0), binary.AppendUvarint(nil, 100_000)...)
	many = appendChecksum(append(many, bytes.Repeat([]byte{1, 'a', 0}, 100_000)...))
	if n := allocated(func() { DecodeRecord(many) }); n > 20*uint64(len(many)) {
		t.Errorf("%d bytes allocated for a record of %d", n, len(many))
	}
	stream := append([]byte{chunkFormat, chunkLast, 0, 0, 0, 0}, huge...)
	chunk := appendChecksum(append(stream, 'a'))
	if n := allocated(func() { fromChunks(chunk) }); n > 16<<10 {
		t.Errorf("%d bytes allocated for a chunk of %d", n, len(chunk))
	}
}

// FuzzDecodeRecord holds decoding to: no panic, and nothing accepted that
// encodes otherwise. Each input is also tried with a checksum that fits, since
// no fuzzer finds one by itself; any one flipped bit must then be found.
func FuzzDecodeRecord(f *testing.F) {
	for _, r := range []*Record{plainRecord(), resetRecord()} {
		b := r.Encode()
		f.Add(b[:len(b)-checksumBytes], uint(77))
	}
	f.Fuzz(func(t *testing.T, body []byte, bit uint) {
		for _, b := range [][]byte{body, appendChecksum(bytes.Clone(body))} {
			r, err := DecodeRecord(b)
			if err != nil {
				if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
					t.Fatal(err)
				}
				continue
			}
			if again := r.Encode(); !bytes.Equal(again, b) {
				t.Fatalf("encoded otherwise:\n%s%s", hex.Dump(b), hex.Dump(again))
			}
			bit %= uint(8 * len(b))
			b[bit/8] ^= 1 << (bit % 8)
			if _, err := DecodeRecord(b); !errors.Is(err, ErrDamaged) {
				t.Fatalf("bit %d flipped: %v", bit, err)
			}
		}
	})
}
