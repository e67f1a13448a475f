package access

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/sigv4"
)

func TestTheKeyFileIsMadeOnceAndForTheOwnerAlone(t *testing.T) {
	w := newWorld(t)
	info, err := os.Stat(w.options.KeyFile)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("key file: %v, %v; want mode 0600", info, err)
	}
	first, err := os.ReadFile(w.options.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	w.reopen()
	if again, _ := os.ReadFile(w.options.KeyFile); !bytes.Equal(again, first) {
		t.Error("the second start wrote another key")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(w.options.KeyFile), ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A crash between the file and the record leaves a file, which the next start
// takes as it is; so does an operator who brings his own.
func TestAKeyFileWithoutStoredSecretsIsUsed(t *testing.T) {
	w := newWorld(t, func(w *world) {
		if _, err := createKeyFile(w.options.KeyFile, strings.NewReader(strings.Repeat("k", 32))); err != nil {
			t.Fatal(err)
		}
	})
	key := w.create(KeyRequest{User: "ann"})
	w.reopen()
	if got := w.works(key, sigv4.SigV4); got != "ok" {
		t.Errorf("%s", got)
	}
}

func TestAWrongOrMissingKeyFileStopsTheStartAndIsNamed(t *testing.T) {
	w := newWorld(t)
	w.create(KeyRequest{User: "ann"})
	right, err := os.ReadFile(w.options.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other.key")
	if _, err := createKeyFile(other, strings.NewReader(strings.Repeat("k", 32))); err != nil {
		t.Fatal(err)
	}
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "broken.key")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, path := range map[string]string{
		"missing":      filepath.Join(t.TempDir(), "nowhere.key"),
		"another key":  other,
		"empty":        file(""),
		"no key file":  file("some text\nin two lines\n"),
		"cut short":    file(string(right[:len(right)-5])),
		"one byte off": file(strings.Replace(string(right), "popkv", "popkw", 1)),
		"a folder":     t.TempDir(),
	} {
		o := w.options
		o.KeyFile = path
		if _, err := Open(context.Background(), w.journal, o); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one that names %s", name, err, path)
		}
	}
	o := w.options
	o.KeyFile = ""
	if _, err := Open(context.Background(), w.journal, o); err == nil {
		t.Error("no key file named: opened")
	}
	if _, err := Open(context.Background(), w.journal, w.options); err != nil {
		t.Errorf("the right file: %v", err)
	}
}

func TestAKeyFileThatOthersCanReadIsReported(t *testing.T) {
	w := newWorld(t)
	if strings.Contains(w.log.String(), "read by others") {
		t.Error("reported for the file we made")
	}
	if err := os.Chmod(w.options.KeyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	if !strings.Contains(w.log.String(), "read by others") {
		t.Error("not reported")
	}
}

func TestWithoutAKeyFileSecretsLiveAsLongAsTheProcess(t *testing.T) {
	w := newWorld(t, func(w *world) { w.options.KeyFile = "" })
	key := w.create(KeyRequest{User: "ann"})
	if got := w.works(key, sigv4.SigV4A); got != "ok" {
		t.Errorf("%s", got)
	}
}

// rewrite changes a record of the catalog behind the directory's back.
func (w *world) rewrite(key string, change func(value []byte) []byte) {
	w.t.Helper()
	err := w.journal.Catalog(context.Background(), func(tx *journal.Tx) error {
		value, _, err := tx.Get(key)
		if err == nil {
			tx.Put(key, change(value))
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// A sealed secret is bound to its record: moved to another, or with the record
// changed around it, it cannot be opened.
func TestASealedSecretIsBoundToItsRecord(t *testing.T) {
	for name, change := range map[string]func(r *keyRecord){
		"account":  func(r *keyRecord) { r.Account = "999999999999" },
		"revision": func(r *keyRecord) { r.Revision++ },
		"one bit":  func(r *keyRecord) { r.Sealed[len(r.Sealed)-1] ^= 1 },
		"cut off":  func(r *keyRecord) { r.Sealed = r.Sealed[:5] },
		"token":    func(r *keyRecord) { r.TokenHash = r.Sealed[:8] },
	} {
		w := newWorld(t)
		key := w.create(KeyRequest{User: "ann"})
		w.rewrite(journal.AccessKeyKey(key.AccessKeyID), func(value []byte) []byte {
			r, err := decodeRecord[keyRecord]("", value)
			if err != nil {
				t.Fatal(err)
			}
			change(&r)
			return encodeRecord(r)
		})
		w.reopen()
		if got := w.works(key, sigv4.SigV4A); got != "Unavailable" {
			t.Errorf("%s changed: %s, want Unavailable", name, got)
		}
		if !strings.Contains(w.log.String(), key.AccessKeyID) {
			t.Errorf("%s changed: the log does not name the key", name)
		}
	}
	w := newWorld(t)
	one, two := w.create(KeyRequest{User: "ann"}), w.create(KeyRequest{User: "bob"})
	w.rewrite(journal.AccessKeyKey(two.AccessKeyID), func([]byte) []byte {
		return encodeRecord(w.current.Load().keys[one.AccessKeyID].record)
	})
	if _, err := Open(context.Background(), w.journal, w.options); err == nil {
		t.Error("a record in the place of another: opened")
	}
}

func TestADamagedDataKeyIsToldFromAWrongFile(t *testing.T) {
	w := newWorld(t)
	w.rewrite(dataKeyKey, func(value []byte) []byte {
		r, err := decodeRecord[dataKeyRecord]("", value)
		if err != nil {
			t.Fatal(err)
		}
		r.Wrapped[20] ^= 1
		return encodeRecord(r)
	})
	if _, err := Open(context.Background(), w.journal, w.options); !errors.Is(err, errDamagedKey) {
		t.Errorf("error %v, want %v", err, errDamagedKey)
	}
}

func TestRewrappingTheDataKeyTouchesOneRecord(t *testing.T) {
	w := newWorld(t)
	key := w.create(KeyRequest{User: "ann"})
	before := map[string]string{}
	w.eachRecord(func(record string, value []byte) { before[record] = string(value) })
	newFile := filepath.Join(t.TempDir(), "new.key")
	if err := w.RewrapDataKey(context.Background(), newFile); err != nil {
		t.Fatal(err)
	}
	w.eachRecord(func(record string, value []byte) {
		if changed := before[record] != string(value); changed != (record == dataKeyKey) {
			t.Errorf("record %s: changed %v", record, changed)
		}
	})
	if _, err := Open(context.Background(), w.journal, w.options); !errors.Is(err, errWrongKey) {
		t.Errorf("with the old file: %v", err)
	}
	w.options.KeyFile = newFile
	w.reopen()
	if got := w.works(key, sigv4.SigV4A); got != "ok" {
		t.Errorf("with the new file: %s", got)
	}
	if err := w.RewrapDataKey(context.Background(), newFile); !errors.Is(err, os.ErrExist) {
		t.Errorf("onto a file that exists: %v", err)
	}
}

// The associated data really takes part: the negative control of the tests
// above.
func TestSealing(t *testing.T) {
	k := newCryptKey(strings.NewReader(strings.Repeat("k", 32)))
	random := strings.NewReader(strings.Repeat("n", 12))
	sealed := k.seal(random, []byte("secret"), []byte("record"))
	if plain, err := k.open(sealed, []byte("record")); err != nil || string(plain) != "secret" {
		t.Errorf("opened as %q, %v", plain, err)
	}
	if _, err := k.open(sealed, []byte("another record")); err == nil {
		t.Error("opened for another record")
	}
	other := newCryptKey(strings.NewReader(strings.Repeat("o", 32)))
	if _, err := other.open(sealed, []byte("record")); err == nil {
		t.Error("opened with another key")
	}
	if other.check() == k.check() {
		t.Error("two keys have one check value")
	}
	defer func() {
		if recover() == nil {
			t.Error("went on without randomness")
		}
	}()
	newCryptKey(iotest.ErrReader(errors.New("no entropy")))
}
