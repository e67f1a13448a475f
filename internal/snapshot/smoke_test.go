package snapshot

import (
	"testing"

	"github.com/popkv/popkv"
)

func TestChunksAndRecordsComeBackEqual(t *testing.T) {
	s, err := Build(DigestKey{1}, []popkv.Item{{Key: "b", Value: "2"}, {Key: "a", Value: "1"}, {Key: "c"}})
	if err != nil {
		t.Fatal(err)
	}
	back, err := FromChunks(DigestKey{1}, Chunks(s, MinChunkBytes))
	if err != nil || back.Digest() != s.Digest() || back.Len() != 3 {
		t.Fatalf("%v %v", back, err)
	}
	r := &Record{Kind: Plain, Principal: "p", Change: Change{Puts: []popkv.Item{{Key: "k", Value: "v"}}, Deletes: []string{"x", "a"}}}
	got, err := DecodeRecord(r.Encode())
	if err != nil || string(got.Encode()) != string(r.Encode()) {
		t.Fatalf("%v %v", got, err)
	}
}
