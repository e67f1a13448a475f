package controlplane

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/snapshot"
)

func TestCreateAnswersProvisioningThoughTheStoreIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		created := w.create(NewStore{Name: "s", Comment: ptr("c")})
		want := Store{ID: created.ID, Account: root.Account, Name: "s", Comment: ptr("c"), Status: popkv.Provisioning, LastModified: time.Now().UTC(), Version: 1}
		if diff := cmp.Diff(want, created); diff != "" {
			t.Errorf("created (-want +got):\n%s", diff)
		}
		want.Status, want.Version = popkv.Ready, 2
		if diff := cmp.Diff(want, w.describe("s")); diff != "" {
			t.Errorf("described (-want +got):\n%s", diff)
		}
		m := w.meta(created)
		if m.Status != popkv.Ready || m.Version != 1 || m.Account != root.Account {
			t.Errorf("the data plane has %s, version %d, of %s", m.Status, m.Version, m.Account)
		}
		if created.ETag() != "ETVPDKIKX0DER" || want.ETag() != "E3UN6WX5RRO2AG" || !strings.HasSuffix(created.ARN(), ":key-value-store/"+created.ID.String()) {
			t.Errorf("ETags %s, %s, ARN %s", created.ETag(), want.ETag(), created.ARN())
		}
		w.audit()
		w.stop()
	})
}

func TestCreateRefuses(t *testing.T) {
	limits := popkv.DefaultLimits()
	limits.Stores = 2
	w := newWorld(t, Options{Limits: limits, Source: &documents{sizes: map[string]int64{"big": 6 << 20}}})
	none := newWorld(t, Options{})
	w.create(NewStore{Name: "taken"})
	tags := func(n int) (all []Tag) {
		for i := range n {
			all = append(all, Tag{Key: fmt.Sprint("k", i)})
		}
		return all
	}
	for _, c := range []struct {
		name string
		w    *world
		in   NewStore
		want popkv.Kind
	}{
		{"an empty name", w, NewStore{}, popkv.Invalid},
		{"a name of 65 characters", w, NewStore{Name: strings.Repeat("a", 65)}, popkv.Invalid},
		{"a name with a slash", w, NewStore{Name: "a/b"}, popkv.Invalid},
		{"a name with letters of no ASCII", w, NewStore{Name: "é"}, popkv.Invalid},
		{"a comment of 129 characters", w, NewStore{Name: "s", Comment: ptr(strings.Repeat("é", 129))}, popkv.Invalid},
		{"a source that is not S3", w, NewStore{Name: "s", Import: &ImportSource{Type: "s3", ARN: "arn:aws:s3:::b/k"}}, popkv.Invalid},
		{"a source that is no ARN", w, NewStore{Name: "s", Import: &ImportSource{Type: "S3", ARN: "s3://b/k"}}, popkv.Invalid},
		{"a bad source before the missing setting", none, NewStore{Name: "s", Import: &ImportSource{Type: "S3", ARN: "s3://b/k"}}, popkv.Invalid},
		{"an import where none is set up", none, NewStore{Name: "s", Import: importOf("x")}, popkv.Unsupported},
		{"a name that is taken", w, NewStore{Name: "taken"}, popkv.StoreExists},
		{"a name that is taken, before the size of the document", w, NewStore{Name: "taken", Import: importOf("big")}, popkv.StoreExists},
		{"a document known to be too large", w, NewStore{Name: "s", Import: importOf("big")}, popkv.ImportSizeQuota},
		{"a tag key of nothing", w, NewStore{Name: "s", Tags: []Tag{{}}}, popkv.Invalid},
		{"more tags than a resource has", w, NewStore{Name: "s", Tags: tags(51)}, popkv.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.w.Create(t.Context(), root, c.in)
			if popkv.KindOf(err) != c.want {
				t.Errorf("kind %d (%v), want %d", popkv.KindOf(err), err, c.want)
			}
		})
	}
	if got := popkv.Message(errOf(none.Create(t.Context(), root, NewStore{Name: "s", Import: importOf("x")}))); !strings.Contains(got, "--s3-endpoint") || !strings.Contains(got, "--import-dir") {
		t.Errorf("the message does not say what to set: %s", got)
	}
	w.create(NewStore{Name: strings.Repeat("A-z_0", 12) + "9876", Comment: ptr(strings.Repeat("é", 128)), Tags: tags(50)})
	_, err := w.Create(t.Context(), root, NewStore{Name: "third"})
	if popkv.KindOf(err) != popkv.StoreCountQuota {
		t.Errorf("a store over the quota: %v", err)
	}
	if _, err := w.Create(t.Context(), popkv.Caller{Account: "000000000000", User: "u"}, NewStore{Name: "taken"}); err != nil {
		t.Errorf("the same name in another account: %v", err)
	}
	if err := w.Delete(t.Context(), w.target("taken"), "ETVPDKIKX0DER"); err != nil {
		t.Fatal(err)
	}
	w.create(NewStore{Name: "third"}) // the deleted one does not count
	w.audit()
}

func errOf[T any](_ T, err error) error { return err }

// The control plane's ETags through a store's life. Divergence 14
// says what comes after version 8.
func TestControlETags(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	created := w.create(NewStore{Name: "s"})
	step := func(name string, want uint64) {
		t.Helper()
		if got := w.describe("s").Version; got != want {
			t.Errorf("after %s: version %d, want %d", name, got, want)
		}
	}
	step("create", 2)
	if _, err := w.j.Update(ctx, created.ID, root.ARN(), put("k", "v")); err != nil {
		t.Fatal(err)
	}
	step("a data write", 2)
	if err := w.Tag(ctx, w.target("s"), []Tag{{"k", "v"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Untag(ctx, w.target("s"), []string{"k"}); err != nil {
		t.Fatal(err)
	}
	step("tags", 2)
	for i, ifMatch := range []string{"ETVPDKIKX0DER", "E1F83G8C2ARO7P", "E1PA6795UKMFR9"} { // of the create; current; current
		updated, err := w.Update(ctx, w.target("s"), ifMatch, "same")
		if err != nil || updated.Version != uint64(3+i) || *updated.Comment != "same" || updated.Status != popkv.Ready {
			t.Errorf("update with %s: %+v, %v", ifMatch, updated, err)
		}
		step("update", uint64(3+i))
	}
	if m := w.meta(created); m.Version != 2 {
		t.Errorf("the data plane's version is %d", m.Version)
	}
}

func put(key, value string) func(*journal.Head) (snapshot.Change, error) {
	return func(*journal.Head) (snapshot.Change, error) {
		return snapshot.Change{Puts: []popkv.Item{{Key: key, Value: value}}}, nil
	}
}

func TestIfMatch(t *testing.T) {
	const v1, v2, v3, v4 = "ETVPDKIKX0DER", "E3UN6WX5RRO2AG", "E1F83G8C2ARO7P", "E1PA6795UKMFR9"
	for _, c := range []struct {
		name    string
		updates int // before the If-Match is tried
		ifMatch string
		want    popkv.Kind // popkv.Internal: accepted
	}{
		{"the create's, on a fresh store", 0, v1, popkv.Internal},
		{"the current one, on a fresh store", 0, v2, popkv.Internal},
		{"a later one", 0, v3, popkv.StaleETag},
		{"the create's, after an update", 1, v1, popkv.StaleETag},
		{"the one before the update", 1, v2, popkv.StaleETag},
		{"the current one, after updates", 2, v4, popkv.Internal},
		{"one of another resource's life", 0, "E2EUQ1WTGCTBG2", popkv.StaleETag},
		{"missing", 0, "", popkv.BadETag},
		{"a star", 0, "*", popkv.BadETag},
		{"the data plane's", 0, "KV3UN6WX5RRO2AG", popkv.BadETag},
		{"in quotes", 0, `"` + v2 + `"`, popkv.BadETag},
		{"weak", 0, `W/"` + v2 + `"`, popkv.BadETag},
		{"two of them", 0, v1 + "," + v2, popkv.BadETag},
		{"in lower case", 0, strings.ToLower(v2), popkv.BadETag},
		{"garbage", 0, "STALEETAG12345", popkv.BadETag},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.create(NewStore{Name: "s"})
			for range c.updates {
				if _, err := w.Update(t.Context(), w.target("s"), w.describe("s").ETag(), "c"); err != nil {
					t.Fatal(err)
				}
			}
			before := w.describe("s")
			_, err := w.Update(t.Context(), w.target("s"), c.ifMatch, "changed")
			if popkv.KindOf(err) != c.want || (err == nil) != (c.want == popkv.Internal) {
				t.Errorf("update: %v", err)
			}
			if err != nil {
				if diff := cmp.Diff(before, w.describe("s")); diff != "" {
					t.Errorf("a refused update changed something:\n%s", diff)
				}
				err := w.Delete(t.Context(), w.target("s"), c.ifMatch)
				if popkv.KindOf(err) != c.want || err == nil {
					t.Errorf("delete: %v", err)
				}
				w.describe("s")
			}
		})
	}
}

// Divergence 13: lookup comes before If-Match, and If-Match before use.
func TestCheckOrder(t *testing.T) {
	w := newWorld(t, Options{})
	w.createFunction("f", config(w.create(NewStore{Name: "used"})))
	missing, used, bad := w.target("missing"), w.target("used"), w.target("a/b")
	update := func(t Target, ifMatch, comment string) error {
		return errOf(w.Update(context.Background(), t, ifMatch, comment))
	}
	del := func(t Target, ifMatch string) error { return w.Delete(context.Background(), t, ifMatch) }
	long := strings.Repeat("c", 129)
	for name, c := range map[string]struct {
		err  error
		want popkv.Kind
	}{
		"describe a bad name":                          {errOf(w.Describe(t.Context(), bad)), popkv.Invalid},
		"describe a missing store":                     {errOf(w.Describe(t.Context(), missing)), popkv.StoreNotFound},
		"update: the comment before the lookup":        {update(missing, "", long), popkv.Invalid},
		"update: the lookup before If-Match":           {update(missing, "", ""), popkv.StoreNotFound},
		"update: If-Match undecodable":                 {update(used, "", ""), popkv.BadETag},
		"update: If-Match stale":                       {update(used, "E1F83G8C2ARO7P", ""), popkv.StaleETag},
		"delete a bad name":                            {del(bad, ""), popkv.Invalid},
		"delete: the lookup before If-Match":           {del(missing, ""), popkv.StoreNotFound},
		"delete: If-Match undecodable, before the use": {del(used, "x"), popkv.BadETag},
		"delete: If-Match stale, before the use":       {del(used, "E1F83G8C2ARO7P"), popkv.StaleETag},
		"delete: in use by a function":                 {del(used, "E3UN6WX5RRO2AG"), popkv.StoreInUse},
	} {
		if popkv.KindOf(c.err) != c.want {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	w.describe("used")
}

func TestDeleteForgetsTheStore(t *testing.T) {
	w := newWorld(t, Options{})
	old := w.create(NewStore{Name: "s"})
	if _, err := w.j.Update(t.Context(), old.ID, root.ARN(), put("k", "v")); err != nil {
		t.Fatal(err)
	}
	stale := w.target("s")
	if err := w.Delete(t.Context(), stale, "ETVPDKIKX0DER"); err != nil {
		t.Fatal(err)
	}
	w.audit()
	if _, err := w.j.Meta(t.Context(), old.ID); popkv.KindOf(err) != popkv.WrongState {
		t.Errorf("the data plane says %v", err)
	}
	if target := w.target("s"); target.Exists || target.ARN.Name != "*" {
		t.Errorf("found %+v", target)
	}
	again := w.create(NewStore{Name: "s"})
	if again.ID == old.ID || again.Version != 1 {
		t.Errorf("created again as %+v", again)
	}
	// What was found before the delete is another store now.
	if err := w.Delete(t.Context(), stale, "ETVPDKIKX0DER"); popkv.KindOf(err) != popkv.StoreNotFound {
		t.Errorf("the stale target deleted the new store: %v", err)
	}
	if _, err := w.Update(t.Context(), stale, "ETVPDKIKX0DER", ""); popkv.KindOf(err) != popkv.StoreNotFound {
		t.Errorf("the stale target updated the new store: %v", err)
	}
	w.audit()
}

func TestUpdateMovesLastModifiedAndNeverBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		created := w.create(NewStore{Name: "s"})
		time.Sleep(time.Hour)
		updated, err := w.Update(t.Context(), w.target("s"), created.ETag(), "")
		if err != nil || !updated.LastModified.Equal(created.LastModified.Add(time.Hour)) || *updated.Comment != "" {
			t.Errorf("%+v, %v", updated, err)
		}
		c := control{ModifiedMS: 5000}
		c.change(time.UnixMilli(4000))
		if c.ModifiedMS != 5000 {
			t.Errorf("LastModified went back to %d", c.ModifiedMS)
		}
		w.stop()
	})
}

func TestRaise(t *testing.T) {
	record := encode(control{Account: root.Account, Name: "s", Status: popkv.Ready, Version: 2, CreateVersion: 1, ModifiedMS: 7})
	raised, err := Raise("k/x", record, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := decode[control]("k/x", raised)
	if err != nil {
		t.Fatal(err)
	}
	want := control{Account: root.Account, Name: "s", Status: popkv.Ready, Version: 2 + 1<<40, ModifiedMS: 7}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("raised (-want +got):\n%s", diff)
	}
	if got.matches("ETVPDKIKX0DER") == nil || got.matches("E3UN6WX5RRO2AG") == nil {
		t.Error("an ETag from before the restore is accepted")
	}
	for _, key := range []string{"n/a/b", "q/a", "j/x", "a/x", "p/a/u/x"} {
		if same, err := Raise(key, []byte("opaque"), 1); string(same) != "opaque" || err != nil {
			t.Errorf("%s: %q, %v", key, same, err)
		}
	}
	if _, err := Raise("k/x", []byte(`{"from":"the future"}`), 1); err == nil {
		t.Error("a record with an unknown member was raised")
	}
}
