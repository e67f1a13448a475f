package journal_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
)

func backup(t testing.TB, d journal.Driver) ([]byte, journal.Manifest) {
	t.Helper()
	j, err := journal.Open(context.Background(), d, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	var b bytes.Buffer
	m, err := j.Backup(context.Background(), &b, journal.BackupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), m
}

func restore(t testing.TB, b []byte, o journal.RestoreOptions) *memjournal.Driver {
	t.Helper()
	d := newDriver(nil)
	if _, err := journal.RestoreTo(context.Background(), bytes.NewReader(b), d, o); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestARestoredBackupHasEverythingAtHigherVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		b, manifest := backup(t, e.driver)
		again, err := journal.VerifyBackup(t.Context(), bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(manifest, again); diff != "" || len(manifest.Stores) != 4 {
			t.Fatal(diff)
		}
		var jumps []uint64
		d := restore(t, b, journal.RestoreOptions{Raise: func(key string, value []byte, jump uint64) ([]byte, error) {
			jumps = append(jumps, jump)
			if strings.HasPrefix(key, "f/") {
				return fmt.Appendf(nil, "%s raised by %d", value, jump), nil
			}
			return nil, nil
		}})
		before := verified(t, e.driver)
		after := verified(t, d)
		if after.Records != before.Records+3 || after.Items != before.Items || after.CatalogRecords != before.CatalogRecords {
			t.Fatalf("before %+v, after %+v", before, after)
		}
		from, to := open(t, e.driver, journal.Options{}), open(t, d, journal.Options{})
		jump := jumps[0]
		if jump < 1<<40 || jump >= 1<<41 || len(jumps) != before.CatalogRecords {
			t.Fatal(jumps)
		}
		for _, id := range []popkv.StoreID{e.folded, e.reset, e.imported, e.waiting} {
			old, restored := head(t, from, id), head(t, to, id)
			if diff := cmp.Diff(items(old), items(restored)); diff != "" {
				t.Fatal(diff)
			}
			if restored.Version != old.Version+jump || restored.Lineage == old.Lineage ||
				!restored.Created.Equal(old.Created) || !restored.LastModified.Equal(old.LastModified) ||
				restored.Status != old.Status || restored.Account != old.Account || restored.Digest != old.Digest {
				t.Fatalf("old %+v\nrestored %+v", old.Meta, restored.Meta)
			}
		}
		_, err = to.Head(t.Context(), e.deleted)
		wantKind(t, err, popkv.WrongState)
		h := mustWrite(t, to, e.folded, "a", "1")
		if h.Version != head(t, from, e.folded).Version+jump+1 {
			t.Fatalf("version %d", h.Version)
		}
		catalog(t, to, func(tx *journal.Tx) error {
			if value, _, _ := tx.Get(journal.FunctionKey(account, "f")); string(value) != fmt.Sprintf("code raised by %d", jump) {
				t.Errorf("function: %s", value)
			}
			if value, _, _ := tx.Get(journal.AccessKeyKey("AKIA")); string(value) != "secret" {
				t.Errorf("access key: %s", value)
			}
			return nil
		})
		if err := to.Import(t.Context(), e.waiting, principal, build(t, head(t, to, e.waiting).Meta, "w", "1"), nil); err != nil {
			t.Fatal(err)
		}
		verified(t, d)
	})
}

// A backup of what was restored, restored: histories of three lineages.
func TestABackupOfARestoredBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		d := journal.Driver(e.driver)
		for range 2 {
			b, _ := backup(t, d)
			d = restore(t, b, journal.RestoreOptions{})
			j := open(t, d, journal.Options{})
			mustWrite(t, j, e.reset, "again", "1")
			mustWrite(t, j, e.reset, "again", "2")
			fill(t, j, e.folded, "more", 12, 60<<10)
			synctest.Wait()
			j.Close()
			if r := verified(t, d); r.Garbage != 0 {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func TestABackupWithAFlawIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		b, _ := backup(t, e.driver)
		seed := newSeed(t)
		dice := rand.New(rand.NewPCG(seed, 0))
		flaws := map[string][]byte{
			"nothing":         nil,
			"another file":    []byte("PK\x03\x04 something else altogether"),
			"more at the end": append(bytes.Clone(b), 0),
			"a newer version": append([]byte("popkv backup 2\n"), b[15:]...),
			"a huge part":     append(bytes.Clone(b[:15]), 'M', 0x3f, 0xff, 0xff, 0xff),
		}
		for range 15 {
			at := dice.IntN(len(b))
			flaws[fmt.Sprintf("seed %d, cut at %d", seed, at)] = b[:at]
			flaws[fmt.Sprintf("seed %d, bit flipped at %d", seed, at)] = flip(b, at)
		}
		for name, bad := range flaws {
			_, err := journal.VerifyBackup(t.Context(), bytes.NewReader(bad))
			if popkv.KindOf(err) != popkv.Invalid {
				t.Errorf("%s: %v", name, err)
			}
			d := newDriver(nil)
			if _, err := journal.RestoreTo(t.Context(), bytes.NewReader(bad), d, journal.RestoreOptions{}); popkv.KindOf(err) != popkv.Invalid {
				t.Errorf("restore, %s: %v", name, err)
			}
			if _, err := journal.Open(t.Context(), d, journal.Options{}); err == nil || !strings.Contains(err.Error(), "restore") {
				t.Errorf("%s: what half a restore left was opened: %v", name, err)
			}
		}
	})
}

// A manifest that reads well but says something else; its bytes agree with the
// hash over all of the backup, or not.
func TestAnEditedManifestIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		b, _ := backup(t, e.driver)
		for _, text := range []string{`"created":"2`, `"items":3`, `"version":16`, `"account":"1`} {
			at := bytes.LastIndex(b, []byte(text))
			if at < 0 {
				t.Fatalf("no %s in the manifest", text)
			}
			bad := bytes.Clone(b)
			bad[at+len(text)-1]++
			_, err := journal.VerifyBackup(t.Context(), bytes.NewReader(bad))
			wantKind(t, err, popkv.Invalid)
			if text == `"created":"2` {
				continue // nothing else knows when it was made
			}
			end := len(bad) - 5 - sha256.Size
			sum := sha256.Sum256(bad[:end])
			copy(bad[end+5:], sum[:])
			_, err = journal.VerifyBackup(t.Context(), bytes.NewReader(bad))
			wantKind(t, err, popkv.Invalid)
			if !strings.Contains(err.Error(), "manifest lists") {
				t.Fatal(err)
			}
		}
	})
}

func TestARestoreNeedsAnEmptyStorage(t *testing.T) {
	d := newDriver(nil)
	j := open(t, d, journal.Options{})
	newStore(t, j)
	b, _ := backup(t, d)
	_, err := journal.RestoreTo(t.Context(), bytes.NewReader(b), d, journal.RestoreOptions{})
	wantKind(t, err, popkv.Invalid)
	verified(t, d)
}

func TestARestoreThatCrashesIsNeverOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		b, _ := backup(t, e.driver)
		for _, fault := range []memjournal.Fault{memjournal.FailedLost, memjournal.FailedApplied} {
			for n := 1; ; n++ {
				calls := 0
				d := newDriver(func(c memjournal.Call) memjournal.Fault {
					if c.Method == "Commit" || c.Method == "Stage" {
						if calls++; calls == n {
							return fault
						}
					}
					return memjournal.NoFault
				})
				_, failure := journal.RestoreTo(t.Context(), bytes.NewReader(b), d, journal.RestoreOptions{})
				injected := calls >= n
				calls = n
				d = d.Restart()
				j, err := journal.Open(t.Context(), d, journal.Options{})
				if err == nil {
					j.Close()
					if failure != nil && len(stored(t, d)) > 1 {
						verified(t, d) // only its very last step was lost
					}
				}
				if failure == nil {
					if err != nil || n < 10 {
						t.Fatal(n, err)
					}
					break
				}
				if !injected {
					t.Fatal(failure)
				}
			}
		}
	})
}

func TestARestoreGetsOverLostAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		b, _ := backup(t, e.driver)
		for _, fault := range unknowns {
			calls := 0
			d := newDriver(func(c memjournal.Call) memjournal.Fault {
				if c.Method == "Commit" || c.Method == "Stage" {
					if calls++; calls%2 == 0 {
						return fault
					}
				}
				return memjournal.NoFault
			})
			if _, err := journal.RestoreTo(t.Context(), bytes.NewReader(b), d, journal.RestoreOptions{}); err != nil {
				t.Fatal(err)
			}
			d.Land()
			verified(t, d)
		}
	})
}

func TestADamagedStoreIsNotBackedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		j := open(t, e.driver, journal.Options{})
		for key, value := range stored(t, e.driver) {
			if strings.HasPrefix(key, "l/"+e.folded.String()) {
				overwrite(t, e.driver, key, flip(value, len(value)/2))
				break
			}
		}
		_, err := j.Backup(t.Context(), &bytes.Buffer{}, journal.BackupOptions{})
		wantKind(t, err, popkv.Internal)
		if !strings.Contains(err.Error(), "damaged record l/"+e.folded.String()) {
			t.Fatal(err)
		}
	})
}

// Without another backup, what is whole is worth having: a damaged store can be
// left out, and a restore knows nothing of it.
func TestADamagedStoreCanBeLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		j := open(t, e.driver, journal.Options{})
		for key, value := range stored(t, e.driver) {
			if strings.HasPrefix(key, "l/"+e.folded.String()) {
				overwrite(t, e.driver, key, flip(value, len(value)/2))
				break
			}
		}
		var b bytes.Buffer
		asked := map[popkv.StoreID]bool{}
		m, err := j.Backup(t.Context(), &b, journal.BackupOptions{Drop: func(id popkv.StoreID, cause error) bool {
			var d *journal.Damage
			asked[id] = errors.As(cause, &d)
			return true
		}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{e.folded.String()}, m.Dropped); diff != "" || len(m.Stores) != 3 {
			t.Fatal(diff, m)
		}
		if diff := cmp.Diff(map[popkv.StoreID]bool{e.folded: true}, asked); diff != "" {
			t.Fatal(diff)
		}
		if _, err := journal.VerifyBackup(t.Context(), bytes.NewReader(b.Bytes())); err != nil {
			t.Fatal(err)
		}
		d := newDriver(nil)
		if _, err := journal.RestoreTo(t.Context(), &b, d, journal.RestoreOptions{}); err != nil {
			t.Fatal(err)
		}
		if r := verified(t, d); r.Stores != 3 {
			t.Fatalf("%+v", r)
		}
	})
}

// Stores come and go and change while the backup is made.
func TestABackupWhileServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDriver(nil)
		j := open(t, d, journal.Options{})
		var ids []popkv.StoreID
		for range 6 {
			id := newStore(t, j)
			fill(t, j, id, "key", 20, 10<<10)
			ids = append(ids, id)
		}
		waiting := newStoreIn(t, j, popkv.Provisioning)
		dropped := 0
		var b bytes.Buffer
		m, err := j.Backup(t.Context(), &b, journal.BackupOptions{Progress: func(done, total int) {
			if total != 7 {
				t.Errorf("%d of %d", done, total)
			}
			for i, id := range ids {
				if i%2 == 1 {
					if dropped < 3 {
						drop(t, j, ids[2*dropped+1])
						dropped++
					}
					break
				}
				mustWrite(t, j, id, "n", fmt.Sprint(done))
			}
			if done == 1 {
				if err := j.Import(t.Context(), waiting, principal, build(t, head(t, j, waiting).Meta, "a", "1"), nil); err != nil {
					t.Error(err)
				}
				newStore(t, j)
			}
		}})
		if err != nil || len(m.Stores)+len(m.Dropped) != 7 || len(m.Dropped) == 0 {
			t.Fatal(err, m)
		}
		forgotten := []string{}
		restored := restore(t, b.Bytes(), journal.RestoreOptions{Forget: func(tx *journal.Tx, id popkv.StoreID) (bool, error) {
			forgotten = append(forgotten, id.String())
			return false, nil
		}})
		if diff := cmp.Diff(m.Dropped, forgotten); diff != "" {
			t.Fatal(diff)
		}
		r := verified(t, restored)
		if r.Stores != len(m.Stores) || r.CatalogRecords != len(m.Stores) {
			t.Fatalf("%+v", r)
		}
		if h := head(t, open(t, restored, journal.Options{}), waiting); h.Status != popkv.Provisioning {
			t.Fatalf("%+v", h.Meta)
		}
	})
}

type brokenPipe struct{}

var errPipe = errors.New("broken pipe")

func (brokenPipe) Write([]byte) (int, error) { return 0, errPipe }

func TestABackupEndsWithItsReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEstate(t)
		j := open(t, e.driver, journal.Options{})
		if _, err := j.Backup(t.Context(), brokenPipe{}, journal.BackupOptions{}); !errors.Is(err, errPipe) {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := j.Backup(ctx, &bytes.Buffer{}, journal.BackupOptions{}); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
}
