package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/popkv/popkv"
	"pgregory.net/rapid"
)

func fromChunks(chunks ...[]byte) (*Snapshot, error) {
	return FromChunks(DigestKey{1}, slices.Values(chunks))
}

// chunk returns the bytes of one chunk of a stream.
func chunk(flags byte, index byte, stream string) []byte {
	return appendChecksum(append([]byte{chunkFormat, flags, 0, 0, 0, index}, stream...))
}

func TestASnapshotComesBackFromItsChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := model(rapid.MapOfN(keys(), values(), 0, 60).Draw(t, "items"))
		for i := range rapid.SampledFrom([]int{0, 0, 300}).Draw(t, "more") {
			m[fmt.Sprintf("more-%d", i)] = "v"
		}
		s, err := Build(DigestKey{1}, m.items())
		if err != nil {
			t.Fatal(err)
		}
		maxBytes := rapid.SampledFrom([]int{MinChunkBytes, MinChunkBytes + 1, 1000, 64 << 10, 1 << 20}).Draw(t, "max")
		var chunks [][]byte
		for c := range Chunks(s, maxBytes) {
			if len(c) > maxBytes {
				t.Fatalf("a chunk of %d bytes, at most %d wanted", len(c), maxBytes)
			}
			chunks = append(chunks, c)
		}
		reused := func(yield func([]byte) bool) { // FromChunks keeps no chunk
			for _, c := range chunks {
				c = bytes.Clone(c)
				more := yield(c)
				clear(c)
				if !more {
					return
				}
			}
		}
		back, err := FromChunks(DigestKey{1}, reused)
		if err != nil {
			t.Fatal(err)
		}
		if err := equal(back, m); err != nil {
			t.Fatal(err)
		}
		for range Chunks(s, maxBytes) {
			break // a consumer may leave
		}
		if len(chunks) > 1 {
			i := rapid.IntRange(0, len(chunks)-2).Draw(t, "i")
			for name, wrong := range map[string][][]byte{
				"one missing":   slices.Delete(slices.Clone(chunks), i, i+1),
				"the end":       chunks[:i+1],
				"one twice":     slices.Insert(slices.Clone(chunks), i, chunks[i]),
				"two swapped":   slices.Concat(chunks[:i], [][]byte{chunks[i+1], chunks[i]}, chunks[i+2:]),
				"one after all": slices.Concat(chunks, chunks[i:i+1]),
			} {
				if _, err := fromChunks(wrong...); !errors.Is(err, ErrDamaged) {
					t.Fatalf("%s: %v", name, err)
				}
			}
		}
	})
}

func TestEveryFlippedBitOfAChunkIsFound(t *testing.T) {
	s, err := Build(DigestKey{1}, []popkv.Item{{Key: "a", Value: "1"}, {Key: "b", Value: strings.Repeat("2", 200)}})
	if err != nil {
		t.Fatal(err)
	}
	chunks := slices.Collect(Chunks(s, 100))
	for i, c := range chunks {
		for bit := range 8 * len(c) {
			c[bit/8] ^= 1 << (bit % 8)
			if _, err := fromChunks(chunks...); !errors.Is(err, ErrDamaged) {
				t.Errorf("chunk %d bit %d: %v", i, bit, err)
			}
			c[bit/8] ^= 1 << (bit % 8)
		}
	}
	if _, err := fromChunks(chunks...); err != nil {
		t.Error(err)
	}
}

func TestChunksThatWereNotWrittenAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		chunks [][]byte
		want   error
	}{
		"an empty snapshot is fine":          {[][]byte{chunk(1, 0, "")}, nil},
		"a pair over three chunks is fine":   {[][]byte{chunk(0, 0, "\x01"), chunk(0, 1, "a"), chunk(1, 2, "\x00")}, nil},
		"no chunk":                           {nil, ErrDamaged},
		"an empty chunk":                     {[][]byte{{}}, ErrDamaged},
		"a checksum alone":                   {[][]byte{appendChecksum(nil)}, ErrDamaged},
		"a short header":                     {[][]byte{appendChecksum([]byte{1, 1, 0, 0, 0})}, ErrDamaged},
		"format 2":                           {[][]byte{appendChecksum([]byte{2, 1, 0, 0, 0, 0})}, ErrFormat},
		"unknown flags":                      {[][]byte{chunk(3, 0, "")}, ErrFormat},
		"no last chunk":                      {[][]byte{chunk(0, 0, "\x01a\x00")}, ErrDamaged},
		"a chunk after the last":             {[][]byte{chunk(1, 0, ""), chunk(1, 1, "")}, ErrDamaged},
		"a first chunk that is not":          {[][]byte{chunk(1, 1, "")}, ErrDamaged},
		"a pair cut short":                   {[][]byte{chunk(1, 0, "\x01a\x02v")}, ErrDamaged},
		"a key without a value":              {[][]byte{chunk(1, 0, "\x01a")}, ErrDamaged},
		"an empty key":                       {[][]byte{chunk(1, 0, "\x00\x01v")}, ErrDamaged},
		"a key twice":                        {[][]byte{chunk(1, 0, "\x01a\x00\x01a\x00")}, ErrDamaged},
		"a key twice, in two chunks":         {[][]byte{chunk(0, 0, "\x01a\x00"), chunk(1, 1, "\x01a\x00")}, ErrDamaged},
		"keys out of order":                  {[][]byte{chunk(1, 0, "\x01b\x00\x01a\x00")}, ErrDamaged},
		"a length not in its shortest form":  {[][]byte{chunk(1, 0, "\x81\x00a\x00")}, ErrDamaged},
		"a length longer than 64 bits":       {[][]byte{chunk(1, 0, strings.Repeat("\xff", 11))}, ErrDamaged},
		"a length longer than 64 bits, late": {[][]byte{chunk(0, 0, strings.Repeat("\xff", 5)), chunk(1, 1, strings.Repeat("\xff", 6))}, ErrDamaged},
		"a length of nearly 64 bits":         {[][]byte{chunk(1, 0, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01a\x00")}, ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := fromChunks(test.chunks...); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestChunksTooSmallForAHeaderPanic(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("accepted")
		}
	}()
	Chunks(Empty(DigestKey{}), MinChunkBytes-1)
}

func TestChunkAndGenerationHashesDependOnOrderAndPlace(t *testing.T) {
	a, b := ChunkHash([]byte("a")), ChunkHash([]byte("b"))
	all := []Hash{a, b, GenerationHash(nil), GenerationHash([]Hash{a}), GenerationHash([]Hash{a, b}), GenerationHash([]Hash{b, a}),
		Genesis(popkv.StoreID{1}, [16]byte{}), Genesis(popkv.StoreID{}, [16]byte{1}), Genesis(popkv.StoreID{}, [16]byte{})}
	for i, h := range all {
		if slices.Index(all, h) != i {
			t.Errorf("hashes %d and %d are equal", slices.Index(all, h), i)
		}
	}
	if Chain([]byte("abc")).String() != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Error("Chain is not SHA-256")
	}
}

// FuzzFromChunks reads any stream, cut anywhere into chunks that are otherwise
// sound, and any bytes as a chunk: no panic, nothing accepted that is not
// written the same way again, and one flipped bit is always found.
func FuzzFromChunks(f *testing.F) {
	f.Add([]byte("\x01a\x011\x01b\x00\x02\xc3\xa9\x03two"), uint(4), uint(99))
	f.Add([]byte("\x01a\x80\x01"+strings.Repeat("v", 128)), uint(70), uint(3))
	f.Fuzz(func(t *testing.T, stream []byte, cut, bit uint) {
		if _, err := fromChunks(stream); err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
			t.Fatal(err)
		}
		cut %= uint(len(stream) + 1)
		chunks := [][]byte{chunk(0, 0, string(stream[:cut])), chunk(1, 1, string(stream[cut:]))}
		s, err := fromChunks(chunks...)
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		m := model{}
		for k, v := range s.After("") {
			m[k] = v
		}
		if err := equal(s, m); err != nil {
			t.Fatal(err)
		}
		whole := slices.Collect(Chunks(s, len(stream)+MinChunkBytes))
		if diff := cmp.Diff([][]byte{chunk(1, 0, string(stream))}, whole); diff != "" {
			t.Fatalf("written otherwise (-read +written):\n%s", diff)
		}
		damaged := chunks[bit%2]
		bit = bit / 2 % uint(8*len(damaged))
		damaged[bit/8] ^= 1 << (bit % 8)
		if _, err := fromChunks(chunks...); !errors.Is(err, ErrDamaged) {
			t.Fatalf("bit %d flipped: %v", bit, err)
		}
	})
}
