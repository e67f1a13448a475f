package controlplane

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

const (
	etag1 = "ETVPDKIKX0DER"
	etag2 = "E3UN6WX5RRO2AG"
	etag3 = "E1F83G8C2ARO7P"
)

// config is a function's, with the stores that it names.
func config(stores ...Store) FunctionConfig {
	c := FunctionConfig{Comment: "c", Runtime: Runtime2}
	for _, s := range stores {
		c.Stores = append(c.Stores, s.ARN())
	}
	return c
}

var text = []byte("function handler(event) { return event.request }")

func (w *world) createFunction(name string, c FunctionConfig) Function {
	w.t.Helper()
	f, err := w.CreateFunction(w.t.Context(), root, NewFunction{Name: name, Config: c, Code: text})
	if err != nil {
		w.t.Fatalf("create %s: %v", name, err)
	}
	return f
}

func (w *world) function(name string) Target {
	w.t.Helper()
	t, err := w.Function(w.t.Context(), root.Account, name)
	if err != nil {
		w.t.Fatalf("find %s: %v", name, err)
	}
	return t
}

// stages says what a function's stages are: "ETAG STATUS" each.
func (w *world) stages(name string) (development, live string) {
	w.t.Helper()
	show := func(stage Stage) string {
		f, err := w.DescribeFunction(w.t.Context(), w.function(name), stage)
		if popkv.KindOf(err) == popkv.FunctionNotFound {
			return "none"
		}
		if err != nil {
			w.t.Fatalf("describe %s: %v", name, err)
		}
		return f.ETag() + " " + f.Status
	}
	return show(Development), show(Live)
}

// Versions and statuses of the stages (observed).
func TestFunctionVersions(t *testing.T) {
	routes := 0
	w := newWorld(t, Options{Routes: func(*journal.Tx, string, string) (int, error) { return routes, nil }})
	ctx := t.Context()
	has := func(step, development, live string) {
		t.Helper()
		d, l := w.stages("f")
		if d != development || l != live {
			t.Errorf("%s: %s, %s; want %s, %s", step, d, l, development, live)
		}
	}
	created := w.createFunction("f", config())
	if created.ETag() != etag1 || created.Stage != Development || created.ARN() != "arn:aws:cloudfront::123456789012:function/f" {
		t.Errorf("created %+v", created)
	}
	has("created", etag1+" UNPUBLISHED", "none")
	published, err := w.PublishFunction(ctx, w.function("f"), etag1)
	if err != nil || published.Stage != Live || published.Status != "UNASSOCIATED" {
		t.Errorf("published %+v, %v", published, err)
	}
	has("published", etag1+" UNASSOCIATED", etag1+" UNASSOCIATED")
	updated, err := w.UpdateFunction(ctx, w.function("f"), etag1, config(), text)
	if err != nil || updated.ETag() != etag2 || updated.Stage != Development {
		t.Errorf("updated %+v, %v", updated, err)
	}
	has("updated, to the same", etag2+" UNPUBLISHED", etag1+" UNASSOCIATED")
	routes = 1
	has("attached to a route", etag2+" UNPUBLISHED", etag1+" DEPLOYED")
	if _, err := w.PublishFunction(ctx, w.function("f"), etag2); err != nil {
		t.Fatal(err)
	}
	has("published again", etag2+" DEPLOYED", etag2+" DEPLOYED")
	routes = 3
	err = w.DeleteFunction(ctx, w.function("f"), etag2)
	if popkv.KindOf(err) != popkv.FunctionInUse || popkv.Message(err) != "Cannot delete function f, it is in use by 3 distributions" {
		t.Errorf("delete in use: %v", err)
	}
	routes = 0
	if err := w.DeleteFunction(ctx, w.function("f"), etag2); err != nil {
		t.Fatal(err)
	}
	has("deleted", "none", "none")
	w.createFunction("f", config())
	has("created again", etag1+" UNPUBLISHED", "none")
	w.audit()
}

func TestFunctionTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		begin := time.Now().UTC()
		type times struct{ Created, LastModified time.Duration }
		of := func(f Function, err error) times {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			return times{f.Created.Sub(begin), f.LastModified.Sub(begin)}
		}
		const second = time.Second
		got := []times{of(w.createFunction("f", config()), nil)}
		time.Sleep(second)
		got = append(got, of(w.PublishFunction(t.Context(), w.function("f"), etag1)))
		time.Sleep(second)
		got = append(got, of(w.UpdateFunction(t.Context(), w.function("f"), etag1, config(), text)))
		time.Sleep(second)
		got = append(got, of(w.PublishFunction(t.Context(), w.function("f"), etag2)))
		want := []times{{0, 0}, {second, second}, {0, 2 * second}, {second, 3 * second}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("created, published, updated, published (-want +got):\n%s", diff)
		}
		w.stop()
	})
}

func TestGetFunctionReturnsTheStagesCode(t *testing.T) {
	w := newWorld(t, Options{})
	w.createFunction("f", config())
	if _, err := w.PublishFunction(t.Context(), w.function("f"), etag1); err != nil {
		t.Fatal(err)
	}
	changed := []byte("\x00\xff not even text")
	if _, err := w.UpdateFunction(t.Context(), w.function("f"), etag1, config(), changed); err != nil {
		t.Fatal(err)
	}
	for stage, want := range map[Stage][]byte{Development: changed, Live: text} {
		_, got, err := w.GetFunction(t.Context(), w.function("f"), stage)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", stage, err, diff)
		}
	}
}

func TestCreateFunctionRefuses(t *testing.T) {
	limits := popkv.DefaultLimits()
	limits.Functions, limits.FunctionsPerStore = 3, 1
	w := newWorld(t, Options{Limits: limits, DelayTransientStatuses: time.Hour})
	ready := start(t, w.driver, Options{Limits: limits})
	store, other, slow := ready.create(NewStore{Name: "store"}), ready.create(NewStore{Name: "other"}), w.create(NewStore{Name: "slow"})
	foreign, err := ready.Create(t.Context(), popkv.Caller{Account: "000000000000"}, NewStore{Name: "foreign"})
	if err != nil {
		t.Fatal(err)
	}
	w.createFunction("taken", config(store))
	long := make([]byte, 10_241)
	with := func(change func(*NewFunction)) NewFunction {
		in := NewFunction{Name: "f", Config: config(), Code: text}
		change(&in)
		return in
	}
	arns := func(all ...string) NewFunction { return with(func(in *NewFunction) { in.Config.Stores = all }) }
	for _, c := range []struct {
		name string
		in   NewFunction
		want popkv.Kind
		says string
	}{
		{"a bad name", with(func(in *NewFunction) { in.Name = "a.b" }), popkv.Invalid, "name"},
		{"a long comment", with(func(in *NewFunction) { in.Config.Comment = strings.Repeat("é", 1025) }), popkv.Invalid, "comment"},
		{"no runtime", with(func(in *NewFunction) { in.Config.Runtime = "" }), popkv.Invalid, "Runtime"},
		{"an unknown runtime", with(func(in *NewFunction) { in.Config.Runtime = "cloudfront-js-3.0" }), popkv.Invalid, "Runtime"},
		{"no code", with(func(in *NewFunction) { in.Code = nil }), popkv.Invalid, "FunctionCode"},
		{"code that is longer than the model allows", with(func(in *NewFunction) { in.Code = make([]byte, 40_961) }), popkv.Invalid, "FunctionCode"},
		{"two stores", arns(store.ARN(), other.ARN()), popkv.Invalid, "one key value store"},
		{"a store for runtime 1.0", with(func(in *NewFunction) { in.Config = config(other); in.Config.Runtime = Runtime1 }), popkv.Invalid, Runtime2},
		{"a bad tag", with(func(in *NewFunction) { in.Tags = []Tag{{Key: "aws:x"}} }), popkv.Invalid, "aws:"},
		{"a name that is taken", with(func(in *NewFunction) { in.Name = "taken" }), popkv.FunctionExists, ""},
		{"a name that is taken, before the store", with(func(in *NewFunction) { in.Name, in.Config = "taken", config(slow) }), popkv.FunctionExists, ""},
		{"a store that is no ARN", arns("store"), popkv.Invalid, "KeyValueStoreAssociationArn"},
		{"a store that is a function", arns("arn:aws:cloudfront::123456789012:function/taken"), popkv.Invalid, "KeyValueStoreAssociationArn"},
		{"a store with more to its ARN", arns(store.ARN() + "x"), popkv.Invalid, "KeyValueStoreAssociationArn"},
		{"a store that is not there", arns("arn:aws:cloudfront::123456789012:key-value-store/00000000-0000-4000-8000-000000000000"), popkv.Invalid, "KeyValueStoreAssociationArn"},
		{"another account's store", arns(foreign.ARN()), popkv.Invalid, "KeyValueStoreAssociationArn"},
		{"another account's store under this account", arns(popkv.StoreARN(root.Account, foreign.ID).String()), popkv.Invalid, "KeyValueStoreAssociationArn"},
		{"a store that is not READY", arns(slow.ARN()), popkv.Invalid, "cannot be associated before the resource is provisioned"},
		{"a store that has its functions", arns(store.ARN()), popkv.Invalid, "KeyValueStoreAssociationArn"},
		{"code over the quota", with(func(in *NewFunction) { in.Code = long }), popkv.FunctionSizeQuota, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := w.CreateFunction(t.Context(), root, c.in)
			if popkv.KindOf(err) != c.want || err == nil || !strings.Contains(popkv.Message(err), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
	// The same rules hold for an update; the store that it has already is no
	// other function's.
	if _, err := w.UpdateFunction(t.Context(), w.function("taken"), etag1, config(slow), text); popkv.KindOf(err) != popkv.Invalid {
		t.Errorf("update to a store that is not READY: %v", err)
	}
	if _, err := w.UpdateFunction(t.Context(), w.function("taken"), etag1, config(store), long); popkv.KindOf(err) != popkv.FunctionSizeQuota {
		t.Errorf("update to long code: %v", err)
	}
	if _, err := w.UpdateFunction(t.Context(), w.function("taken"), etag1, config(store), make([]byte, 10_240)); err != nil {
		t.Errorf("update to as much code as there may be: %v", err)
	}
	w.createFunction(strings.Repeat("A-z_0", 12)+"9876", config(other))
	w.createFunction("third", FunctionConfig{Runtime: Runtime1})
	if _, err := w.CreateFunction(t.Context(), root, NewFunction{Name: "fourth", Config: config(), Code: long}); popkv.KindOf(err) != popkv.FunctionCountQuota {
		t.Errorf("one function too many: %v", err)
	}
	w.audit()
}

// A quota may be set higher than what one record can hold. The longest code that
// is accepted can be published, too, under every tag and comment there may be.
func TestFunctionOfTheLongestCodeIsPublished(t *testing.T) {
	limits := popkv.DefaultLimits()
	limits.FunctionBytes = 4 << 20
	w := newWorld(t, Options{Limits: limits})
	longest := w.Limits().FunctionBytes
	in := NewFunction{Name: "f", Config: FunctionConfig{Runtime: Runtime2, Comment: strings.Repeat("\U00010400", 1024)}}
	for i := range limits.TagsPerResource {
		in.Tags = append(in.Tags, Tag{
			Key:   strings.Repeat("\U00010400", 126) + fmt.Sprintf("%02d", i),
			Value: strings.Repeat("\U00010400", 256),
		})
	}
	in.Code = make([]byte, longest+1)
	if _, err := w.CreateFunction(t.Context(), root, in); popkv.KindOf(err) != popkv.Invalid {
		t.Errorf("longer than the longest: %v", err)
	}
	in.Code = in.Code[:longest]
	if _, err := w.CreateFunction(t.Context(), root, in); err != nil {
		t.Fatal(err)
	}
	if _, err := w.PublishFunction(t.Context(), w.function("f"), etag1); err != nil {
		t.Fatal(err)
	}
	if _, err := w.UpdateFunction(t.Context(), w.function("f"), etag1, in.Config, in.Code); err != nil {
		t.Fatal(err)
	}
	w.audit()
}

func TestFunctionCheckOrder(t *testing.T) {
	w := newWorld(t, Options{})
	w.createFunction("f", config())
	f, missing, bad := w.function("f"), w.function("missing"), w.function("a/b")
	ctx := context.Background()
	update := func(t Target, ifMatch string, c FunctionConfig) error {
		return errOf(w.UpdateFunction(ctx, t, ifMatch, c, text))
	}
	publish := func(t Target, ifMatch string) error { return errOf(w.PublishFunction(ctx, t, ifMatch)) }
	test := func(t Target, ifMatch string, stage Stage, event int) error {
		_, _, err := w.TestFunction(ctx, t, ifMatch, stage, make([]byte, event))
		return err
	}
	unknown := config()
	unknown.Stores = []string{"arn:aws:cloudfront::123456789012:key-value-store/00000000-0000-4000-8000-000000000000"}
	for name, c := range map[string]struct {
		err  error
		want popkv.Kind
	}{
		"describe a bad name":                      {errOf(w.DescribeFunction(ctx, bad, Development)), popkv.Invalid},
		"describe what is not there":               {errOf(w.DescribeFunction(ctx, missing, Development)), popkv.FunctionNotFound},
		"describe a stage that is not there":       {errOf(w.DescribeFunction(ctx, f, Live)), popkv.FunctionNotFound},
		"update: the model before the lookup":      {update(missing, "", FunctionConfig{}), popkv.Invalid},
		"update: the lookup before If-Match":       {update(missing, "", unknown), popkv.FunctionNotFound},
		"update: If-Match before the association":  {update(f, "", unknown), popkv.BadETag},
		"update: stale before the association":     {update(f, etag2, unknown), popkv.StaleETag},
		"update: the association last":             {update(f, etag1, unknown), popkv.Invalid},
		"publish a bad name":                       {publish(bad, ""), popkv.Invalid},
		"publish what is not there":                {publish(missing, ""), popkv.FunctionNotFound},
		"publish without If-Match":                 {publish(f, ""), popkv.BadETag},
		"publish with a star":                      {publish(f, "*"), popkv.BadETag},
		"publish what is stale":                    {publish(f, etag2), popkv.StaleETag},
		"delete what is not there":                 {w.DeleteFunction(ctx, missing, ""), popkv.FunctionNotFound},
		"delete without If-Match":                  {w.DeleteFunction(ctx, f, ""), popkv.BadETag},
		"delete what is stale":                     {w.DeleteFunction(ctx, f, etag2), popkv.StaleETag},
		"test: the event's size before the lookup": {test(missing, "", Development, 40_961), popkv.Invalid},
		"test what is not there":                   {test(missing, "", Development, 0), popkv.FunctionNotFound},
		"test a stage that is not there":           {test(f, etag1, Live, 0), popkv.FunctionNotFound},
		"test what is stale is no precondition":    {test(f, etag2, Development, 0), popkv.BadETag},
		"test without If-Match":                    {test(f, "", Development, 0), popkv.BadETag},
		"test where nothing runs functions":        {test(f, etag1, Development, 40_960), popkv.Unsupported},
	} {
		if popkv.KindOf(c.err) != c.want || c.err == nil {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	if d, l := w.stages("f"); d != etag1+" UNPUBLISHED" || l != "none" {
		t.Errorf("something refused had an effect: %s, %s", d, l)
	}
}

// A store is in use as long as one stage of one function names it.
func TestStoreIsInUseByEitherStage(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	a, b := w.create(NewStore{Name: "a"}), w.create(NewStore{Name: "b"})
	inUse := func(step string, want ...string) {
		t.Helper()
		w.audit()
		var got []string
		for _, name := range []string{"a", "b"} {
			c := w.control(name)
			for _, r := range c.Referrers {
				got = append(got, fmt.Sprintf("%s by %s %v %v", name, r.Function, r.Development, r.Live))
			}
			// A stale If-Match would be told first, so try a good one.
			if err := w.Delete(ctx, w.target(name), etag2); len(c.Referrers) > 0 && popkv.KindOf(err) != popkv.StoreInUse {
				t.Errorf("%s: delete %s: %v", step, name, err)
			} else if len(c.Referrers) == 0 && err != nil {
				t.Errorf("%s: delete %s: %v", step, name, err)
			} else if err == nil {
				return // it is gone
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
	}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	w.createFunction("g", config(b))
	w.createFunction("f", config(a))
	inUse("created", "a by f true false", "b by g true false")
	must(w.PublishFunction(ctx, w.function("f"), etag1))
	inUse("published", "a by f true true", "b by g true false")
	must(w.UpdateFunction(ctx, w.function("f"), etag1, config(b), text))
	inUse("moved in DEVELOPMENT", "a by f false true", "b by f true false", "b by g true false")
	must(w.UpdateFunction(ctx, w.function("f"), etag2, config(), text)) // leaves the association out (observed)
	inUse("dissociated in DEVELOPMENT", "a by f false true", "b by g true false")
	must(nil, w.DeleteFunction(ctx, w.function("g"), etag1))
	if f, err := w.DescribeFunction(ctx, w.function("f"), Live); err != nil || len(f.Config.Stores) != 1 || f.Config.Stores[0] != a.ARN() {
		t.Errorf("the live stage: %+v, %v", f, err)
	}
	must(nil, w.Delete(ctx, w.target("b"), etag2))
	if err := w.Delete(ctx, w.target("a"), etag2); popkv.KindOf(err) != popkv.StoreInUse {
		t.Errorf("delete what the live stage names: %v", err)
	}
	must(w.PublishFunction(ctx, w.function("f"), etag3))
	must(nil, w.Delete(ctx, w.target("a"), etag2))
	w.audit()
}

func (w *world) control(store string) (c control) {
	w.t.Helper()
	target := w.target(store)
	err := w.j.Catalog(w.t.Context(), func(tx *journal.Tx) (err error) {
		c, _, err = get[control](tx, journal.ControlKey(target.id))
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestFunctionTags(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	if _, err := w.CreateFunction(ctx, root, NewFunction{Name: "f", Config: config(), Code: text, Tags: []Tag{{"k", "v"}}}); err != nil {
		t.Fatal(err)
	}
	resource, err := w.Resource(ctx, root.Account, "arn:aws:cloudfront::123456789012:function/f")
	if err != nil || !resource.Exists || resource.Tags["k"] != "v" {
		t.Fatalf("%+v, %v", resource, err)
	}
	if err := errors.Join(w.Tag(ctx, resource, []Tag{{"l", "w"}}), w.Untag(ctx, resource, []string{"k"})); err != nil {
		t.Fatal(err)
	}
	tags, err := w.Tags(ctx, resource)
	if diff := cmp.Diff(map[string]string{"l": "w"}, tags); diff != "" || err != nil {
		t.Errorf("%v, tags (-want +got):\n%s", err, diff)
	}
	if _, err := w.UpdateFunction(ctx, w.function("f"), etag1, config(), text); err != nil {
		t.Errorf("tags moved the ETag: %v", err)
	}
	if tags := w.function("f").Tags; tags["l"] != "w" {
		t.Errorf("an update lost the tags: %v", tags)
	}
	if err := w.DeleteFunction(ctx, w.function("f"), etag2); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Tags(ctx, resource); popkv.KindOf(err) != popkv.ResourceNotFound {
		t.Errorf("tags of what is gone: %v", err)
	}
}

func TestListFunctions(t *testing.T) {
	w := newWorld(t, Options{})
	for _, name := range []string{"b", "a", "B"} {
		w.createFunction(name, config())
	}
	if _, err := w.PublishFunction(t.Context(), w.function("a"), etag1); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CreateFunction(t.Context(), popkv.Caller{Account: "000000000000"}, NewFunction{Name: "x", Config: config(), Code: text}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		query FunctionQuery
		want  []string
		next  string
	}{
		{"all stages", FunctionQuery{MaxItems: 100}, []string{"B DEVELOPMENT", "a DEVELOPMENT", "a LIVE", "b DEVELOPMENT"}, ""},
		{"a page that ends between the stages of one", FunctionQuery{MaxItems: 2}, []string{"B DEVELOPMENT", "a DEVELOPMENT"}, "a/DEVELOPMENT"},
		{"the page after", FunctionQuery{MaxItems: 2, Marker: "a/DEVELOPMENT"}, []string{"a LIVE", "b DEVELOPMENT"}, ""},
		{"after both stages", FunctionQuery{MaxItems: 2, Marker: "a/LIVE"}, []string{"b DEVELOPMENT"}, ""},
		{"after a name without stage", FunctionQuery{MaxItems: 2, Marker: "a"}, []string{"b DEVELOPMENT"}, ""},
		{"after what is not there", FunctionQuery{MaxItems: 2, Marker: "A/LIVE"}, []string{"B DEVELOPMENT", "a DEVELOPMENT"}, "a/DEVELOPMENT"},
		{"only DEVELOPMENT", FunctionQuery{MaxItems: 2, Stage: Development}, []string{"B DEVELOPMENT", "a DEVELOPMENT"}, "a/DEVELOPMENT"},
		{"only LIVE", FunctionQuery{MaxItems: 1, Stage: Live}, []string{"a LIVE"}, ""},
		{"a marker beyond every key", FunctionQuery{MaxItems: 1, Marker: "\xff"}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			page, err := w.ListFunctions(t.Context(), root.Account, c.query)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range page.Functions {
				got = append(got, f.Name+" "+string(f.Stage))
			}
			if diff := cmp.Diff(c.want, got); diff != "" || page.Next != c.next {
				t.Errorf("next %q, want %q; entries (-want +got):\n%s", page.Next, c.next, diff)
			}
		})
	}
	if _, err := w.ListFunctions(t.Context(), root.Account, FunctionQuery{}); popkv.KindOf(err) != popkv.Invalid {
		t.Errorf("MaxItems 0: %v", err)
	}
}

// A runnerFunc is a Runner.
type runnerFunc func(FunctionRun) (FunctionResult, error)

func (f runnerFunc) Run(_ context.Context, r FunctionRun) (FunctionResult, error) { return f(r) }

func TestTestFunction(t *testing.T) {
	var ran FunctionRun
	var fails error
	result := FunctionResult{Output: "{}", Logs: []string{"l"}, ComputeUtilization: 8}
	w := newWorld(t, Options{Runner: runnerFunc(func(r FunctionRun) (FunctionResult, error) {
		ran = r
		return result, fails
	})})
	ctx := t.Context()
	store := w.create(NewStore{Name: "s"})
	w.createFunction("f", config(store))
	if _, err := w.PublishFunction(ctx, w.function("f"), etag1); err != nil {
		t.Fatal(err)
	}
	if _, err := w.UpdateFunction(ctx, w.function("f"), etag1, FunctionConfig{Runtime: Runtime1}, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.j.Update(ctx, store.ID, root.ARN(), put("k", "v")); err != nil {
		t.Fatal(err)
	}
	f, got, err := w.TestFunction(ctx, w.function("f"), etag1, Live, []byte("event"))
	if err != nil || f.Stage != Live || !cmp.Equal(got, result) {
		t.Errorf("%+v, %+v, %v", f, got, err)
	}
	if string(ran.Code) != string(text) || ran.Runtime != Runtime2 || string(ran.Event) != "event" || ran.Store == nil || ran.Store.Store != store.ID {
		t.Errorf("ran %+v", ran)
	}
	if v, ok := ran.Store.Items.Get("k"); !ok || v != "v" {
		t.Errorf("the function reads %q, %v", v, ok)
	}
	if _, _, err = w.TestFunction(ctx, w.function("f"), etag2, Development, []byte("event")); err != nil || ran.Store != nil || string(ran.Code) != "new" || ran.Runtime != Runtime1 {
		t.Errorf("ran %+v, %v", ran, err)
	}
	if _, _, err = w.TestFunction(ctx, w.function("f"), etag2, Live, nil); popkv.KindOf(err) != popkv.BadETag {
		t.Errorf("LIVE under the ETag of DEVELOPMENT: %v", err)
	}
	for err, want := range map[error]popkv.Kind{
		errors.New("the worker died"):                           popkv.TestFailed,
		popkv.Errorf(popkv.Unavailable, "no worker"):            popkv.TestFailed,
		popkv.Errorf(popkv.Invalid, "the event has no request"): popkv.Invalid,
	} {
		fails = err
		if _, _, got := w.TestFunction(ctx, w.function("f"), etag2, Development, nil); popkv.KindOf(got) != want || !errors.Is(got, err) {
			t.Errorf("%v is reported as %v", err, got)
		}
	}
}

// A function that names a store and the delete of that store: one of the two
// wins, whatever the interleaving.
func TestAssociateAndDeleteRace(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := context.Background()
	var associated, deleted atomic.Int32
	for n := range 50 {
		name := fmt.Sprint("s", n)
		s := w.create(NewStore{Name: name})
		target := w.target(name)
		var racing sync.WaitGroup
		var results [2]error
		racing.Go(func() {
			_, results[0] = w.CreateFunction(ctx, root, NewFunction{Name: name, Config: config(s), Code: text})
		})
		racing.Go(func() { results[1] = w.Delete(ctx, target, etag2) })
		racing.Wait()
		switch {
		case results[0] == nil && popkv.KindOf(results[1]) == popkv.StoreInUse:
			associated.Add(1)
		case results[1] == nil && popkv.KindOf(results[0]) == popkv.Invalid:
			deleted.Add(1)
		default:
			t.Errorf("associate: %v; delete: %v", results[0], results[1])
		}
	}
	t.Logf("%d associations won, %d deletes", associated.Load(), deleted.Load())
	w.audit()
}

func TestRaiseFunction(t *testing.T) {
	f := function{Development: code{Version: 3, Code: text}, Live: &code{Version: 2}}
	raised, err := Raise("f/123456789012/f", encode(f), 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := decode[function]("", raised)
	if err != nil || got.Development.Version != 3+1<<40 || got.Live.Version != 2+1<<40 || string(got.Development.Code) != string(text) {
		t.Errorf("%+v, %v", got, err)
	}
}

// What a restore does about a store that was deleted while the backup was made.
func TestForgetLeavesNoTraceOfAStore(t *testing.T) {
	w := newWorld(t, Options{})
	gone, kept := w.create(NewStore{Name: "gone"}), w.create(NewStore{Name: "kept"})
	readers := map[string]int{"reads-kept": 1}
	w.createFunction("reads-kept", config(kept))
	for n := range 20 { // more records than fit into one transaction
		name := fmt.Sprint("reads-gone-", n)
		readers[name] = 0
		w.createFunction(name, config(gone))
	}
	for more := true; more; {
		err := w.j.Catalog(t.Context(), func(tx *journal.Tx) (err error) {
			if more, err = Forget(tx, gone.ID); err != nil || more {
				return err
			}
			return tx.DropStore(gone.ID) // in a restore it never was there
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if w.target("gone").Exists {
		t.Error("the name still leads somewhere")
	}
	for name, want := range readers {
		f, err := w.DescribeFunction(t.Context(), w.function(name), Development)
		if err != nil || len(f.Config.Stores) != want {
			t.Errorf("%s has the stores %v, %v; want %d", name, f.Config.Stores, err, want)
		}
	}
	w.audit()
}
