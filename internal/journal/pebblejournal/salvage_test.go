package pebblejournal

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv/internal/journal"
)

// What Open refuses because its end is missing can still be read, as some
// batch left it; it is not written to, and Open goes on refusing it.
func TestADirectoryThatEndsEarlyIsSalvaged(t *testing.T) {
	var load workload
	files, log := tailOf(t, &load)
	short := maps.Clone(files)
	short[log] = short[log][:len(short[log])/2]
	noFormat, noWitness := maps.Clone(files), maps.Clone(files)
	delete(noFormat, testDir+"/"+formatName)
	delete(noWitness, testDir+"/"+witnessName)
	for _, c := range []struct {
		name  string
		files directory
		lost  string
		whole bool
	}{
		{"a log that ends early", short, "was acknowledged", false},
		{"no FORMAT", noFormat, formatName, true},
		{"no witness", noWitness, witnessName, true},
		{"nothing wrong", files, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := c.files.restore(t)
			s, err := Salvage(testDir, options(fs))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(s.Lost, c.lost) || c.lost == "" && s.Lost != "" {
				t.Errorf("lost: %q", s.Lost)
			}
			acked := snapshotOf(&load.acked)
			least := acked
			if !c.whole {
				least = [8]uint64{}
			}
			if err := checkWorkload(t.Context(), s.Driver, least, acked); err != nil {
				t.Error(err)
			}
			_, err = s.Commit(t.Context(), putA("x"))
			for name, err := range map[string]error{
				"Commit": err,
				"Stage":  s.Stage(t.Context(), journal.Guard{Key: "m/a"}, []journal.Op{{Key: "c/a"}}),
			} {
				if !errors.Is(err, journal.ErrRefused) {
					t.Errorf("%s answers %v", name, err)
				}
			}
			if _, err := Salvage(testDir, options(fs)); !errors.Is(err, ErrLocked) {
				t.Errorf("a second one: %v", err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			left := saveDirectory(t, fs)
			delete(left, testDir+"/"+lockName)
			want := maps.Clone(c.files)
			delete(want, testDir+"/"+lockName)
			if diff := cmp.Diff(want, left); diff != "" {
				t.Errorf("it was changed: %s", diff)
			}
			if c.lost != "" {
				wantDamage(t, left, "damaged")
			}
		})
	}
}

// Keys that no batch left together are not to be trusted one by one.
func TestKeysThatDoNotAddUpAreNotSalvaged(t *testing.T) {
	fs := vfs.NewMem()
	d := mustOpen(t, options(fs))
	var load workload
	load.fill(t, d, 5)
	if err := errors.Join(d.db.Delete([]byte(metaKey(3)), nil), d.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Salvage(testDir, options(fs)); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "add up") {
		t.Fatalf("got %v", err)
	}
	if _, err := Salvage("elsewhere", options(fs)); !errors.Is(err, ErrNoData) {
		t.Fatalf("got %v", err)
	}
}
