package controlplane

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/dataplane"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/s3import"
)

// progress keeps what the hook was told.
type progress struct {
	mu  sync.Mutex
	all []ImportProgress
}

func (p *progress) add(ip ImportProgress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, ip)
}

func (p *progress) last() ImportProgress {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) == 0 {
		return ImportProgress{}
	}
	return p.all[len(p.all)-1]
}

func TestImportBecomesReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var seen progress
		w := newWorld(t, Options{
			Source:   &documents{texts: map[string]string{"path/x.json": twoItems}},
			Logger:   slog.New(slog.NewTextHandler(&log, nil)),
			Progress: seen.add,
		})
		created := w.create(NewStore{Name: "s", Import: importOf("path/x.json")})
		if created.Status != popkv.Provisioning || created.Version != 1 {
			t.Errorf("created %+v", created)
		}
		synctest.Wait()
		if s := w.describe("s"); s.Status != popkv.Ready || s.Version != 2 {
			t.Errorf("described %+v", s)
		}
		head, err := w.j.Head(t.Context(), created.ID)
		if err != nil {
			t.Fatal(err)
		}
		// The data plane's ETag is still version 1, and Created and LastModified
		// are equal (observed).
		if head.Version != 1 || head.Meta.Items != 2 || head.SizeBytes != 5 || !head.Created.Equal(head.LastModified) || head.FailureReason != "" {
			t.Errorf("the data plane has %+v", head.Meta)
		}
		if v, ok := head.Items.Get("b"); !ok || v != "22" {
			t.Errorf("b is %q, %v", v, ok)
		}
		want := ImportProgress{Store: created.ID, Bytes: int64(len(twoItems)), Items: 2, Done: true}
		if diff := cmp.Diff(want, seen.last()); diff != "" {
			t.Errorf("last progress (-want +got):\n%s", diff)
		}
		w.stop()
		for _, line := range []string{"import started", "import finished", "items=2", fmt.Sprintf("bytes=%d", len(twoItems)), "store=" + created.ID.String()} {
			if !strings.Contains(log.String(), line) {
				t.Errorf("the log does not say %q:\n%s", line, log.String())
			}
		}
		if strings.Contains(log.String(), "22") && !strings.Contains(created.ID.String(), "22") {
			t.Errorf("a value is in the log:\n%s", log.String())
		}
	})
}

func TestImportFailsWithAReason(t *testing.T) {
	slow := func(ctx context.Context, l s3import.Location) {
		if l.Key == "slow" {
			<-ctx.Done()
		}
	}
	for _, c := range []struct {
		key  string
		want s3import.Reason
	}{
		{"missing", s3import.Unreadable},
		{"slow", s3import.Unreadable},
		{"html", s3import.NotJSON},
		{"twice", s3import.DuplicateKeys},
		{"long", s3import.ItemTooLarge},
		{"large", s3import.TooLarge},
	} {
		t.Run(c.key, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen progress
				w := newWorld(t, Options{Progress: seen.add, Source: &documents{open: slow, texts: map[string]string{
					"slow":  twoItems,
					"html":  "<html>",
					"twice": `{"data":[{"key":"a","value":"1"},{"key":"a","value":"1"}]}`,
					"long":  `{"data":[{"key":"` + strings.Repeat("a", 513) + `","value":"1"}]}`,
					"large": twoItems + strings.Repeat(" ", 5<<20),
				}}})
				created := w.create(NewStore{Name: "s", Import: importOf(c.key)})
				time.Sleep(time.Minute) // the time limit of an import
				synctest.Wait()
				m := w.meta(created)
				if m.Status != popkv.ImportFailure || m.FailureReason != string(c.want) || m.Items != 0 || m.SizeBytes != 0 {
					t.Errorf("the data plane has %s, %q, %d items", m.Status, m.FailureReason, m.Items)
				}
				if s := w.describe("s"); s.Status != popkv.ImportFailure || s.Version != 2 {
					t.Errorf("described %+v", s)
				}
				if p := seen.last(); !p.Done || p.Reason != string(c.want) {
					t.Errorf("progress %+v", p)
				}
				w.audit()
				if err := w.Delete(t.Context(), w.target("s"), created.ETag()); err != nil {
					t.Errorf("delete the failed store: %v", err)
				}
				w.audit()
				w.stop()
			})
		})
	}
}

// Divergence 21: the delay gives clients the time that AWS takes.
func TestDelayTransientStatuses(t *testing.T) {
	for name, in := range map[string]NewStore{
		"an empty store":  {Name: "s"},
		"an import":       {Name: "s", Import: importOf("x")},
		"a failed import": {Name: "s", Import: importOf("missing")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, Options{DelayTransientStatuses: 20 * time.Second, Source: &documents{texts: map[string]string{"x": twoItems}}})
				created := w.create(in)
				time.Sleep(20*time.Second - time.Millisecond)
				synctest.Wait()
				if s, m := w.describe("s"), w.meta(created); s.Status != popkv.Provisioning || s.Version != 1 || m.Status != popkv.Provisioning {
					t.Errorf("before: %+v; %s", s, m.Status)
				}
				w.audit()
				// The create's ETag is good for an update meanwhile (observed).
				if u, err := w.Update(t.Context(), w.target("s"), created.ETag(), "c"); err != nil || u.Status != popkv.Provisioning || u.Version != 2 {
					t.Errorf("update while provisioning: %+v, %v", u, err)
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
				want := popkv.Ready
				if in.Import != nil && in.Import.ARN == importOf("missing").ARN {
					want = popkv.ImportFailure
				}
				s, m := w.describe("s"), w.meta(created)
				if s.Status != want || s.Version != 3 || *s.Comment != "c" || m.Status != want {
					t.Errorf("after: %+v; %s", s, m.Status)
				}
				if !s.LastModified.Equal(created.LastModified.Add(20 * time.Second)) {
					t.Errorf("LastModified moved by %v", s.LastModified.Sub(created.LastModified))
				}
				w.audit()
				w.stop()
			})
		})
	}
}

func TestProvisioningGoesOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drv := memjournal.New(memjournal.Options{})
		texts := map[string]string{"x": twoItems}
		var opened atomic.Int32
		hang := func(ctx context.Context, _ s3import.Location) { opened.Add(1); <-ctx.Done() }
		w := start(t, drv, Options{DelayTransientStatuses: time.Hour})
		w.create(NewStore{Name: "delayed"})
		w.stop()
		w = start(t, drv, Options{Source: &documents{texts: texts, open: hang}})
		importing := w.create(NewStore{Name: "importing", Import: importOf("x")})
		synctest.Wait()
		if opened.Load() != 1 {
			t.Fatalf("%d documents opened", opened.Load())
		}
		w.audit()
		w.stop() // the process ends in the middle of the import
		w = start(t, drv, Options{Source: &documents{texts: texts}})
		synctest.Wait()
		if s, m := w.describe("importing"), w.meta(importing); s.Status != popkv.Ready || s.Version != 2 || m.Items != 2 {
			t.Errorf("the import: %+v; %d items", s, m.Items)
		}
		if s := w.describe("delayed"); s.Status != popkv.Provisioning {
			t.Errorf("the delay ended early: %+v", s)
		}
		w.audit()
		w.stop()
		time.Sleep(time.Hour) // passes while no process runs
		w = start(t, drv, Options{})
		synctest.Wait()
		if s := w.describe("delayed"); s.Status != popkv.Ready || s.Version != 2 {
			t.Errorf("the delayed store: %+v", s)
		}
		w.audit()
		w.stop()
	})
}

func TestImportFailsAfterARestartWithoutASource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drv := memjournal.New(memjournal.Options{})
		hang := func(ctx context.Context, _ s3import.Location) { <-ctx.Done() }
		w := start(t, drv, Options{Source: &documents{open: hang}})
		s := w.create(NewStore{Name: "s", Import: importOf("x")})
		synctest.Wait()
		w.stop()
		w = start(t, drv, Options{})
		synctest.Wait()
		if m := w.meta(s); m.Status != popkv.ImportFailure || m.FailureReason != string(s3import.Unreadable) {
			t.Errorf("%s, %q", m.Status, m.FailureReason)
		}
		w.stop()
	})
}

// An import that ends its process every time is given up.
func TestImportThatNeverEndsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drv := memjournal.New(memjournal.Options{})
		begun := 0
		hang := func(ctx context.Context, _ s3import.Location) { begun++; <-ctx.Done() }
		w := start(t, drv, Options{Source: &documents{open: hang}})
		s := w.create(NewStore{Name: "s", Import: importOf("x")})
		for range 10 {
			synctest.Wait()
			w.stop()
			w = start(t, drv, Options{Source: &documents{open: hang}})
		}
		synctest.Wait()
		if m := w.meta(s); m.Status != popkv.ImportFailure || begun != maxAttempts {
			t.Errorf("%s after %d attempts", m.Status, begun)
		}
		w.stop()
	})
}

// Restarts while a store waits for its time are no attempts of its import.
func TestRestartsBeforeAnImportDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		drv := memjournal.New(memjournal.Options{})
		o := Options{DelayTransientStatuses: time.Hour, Source: &documents{texts: map[string]string{"x": twoItems}}}
		w := start(t, drv, o)
		s := w.create(NewStore{Name: "s", Import: importOf("x")})
		for range 2 * maxAttempts {
			synctest.Wait()
			w.stop()
			w = start(t, drv, o)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if m := w.meta(s); m.Status != popkv.Ready || m.Items != 2 {
			t.Errorf("%s with %d items: %s", m.Status, m.Items, m.FailureReason)
		}
		w.stop()
	})
}

func TestDeleteEndsTheImport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended error
		reading := func(ctx context.Context, _ s3import.Location) { <-ctx.Done(); ended = context.Cause(ctx) }
		var seen progress
		w := newWorld(t, Options{Source: &documents{open: reading, texts: map[string]string{"x": twoItems}}, Progress: seen.add})
		old := w.create(NewStore{Name: "s", Import: importOf("x")})
		synctest.Wait()
		if err := w.Delete(t.Context(), w.target("s"), old.ETag()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if ended != errDeleted {
			t.Errorf("the reading ended with %v", ended)
		}
		// Whoever counts the imports that run hears of the end.
		if p := seen.last(); !p.Done || p.Reason != errDeleted.Error() {
			t.Errorf("the import ended with %+v", p)
		}
		if _, err := w.j.Meta(t.Context(), old.ID); popkv.KindOf(err) != popkv.WrongState {
			t.Errorf("the deleted store: %v", err)
		}
		w.audit()
		w.stop()
	})
}

// A slowly is a source whose one document comes as the test writes it.
type slowly struct{ document *io.PipeReader }

func (s slowly) Size(s3import.Location) (int64, bool) { return 0, false }

func (s slowly) Open(ctx context.Context, _ s3import.Location) (io.ReadCloser, int64, error) {
	context.AfterFunc(ctx, func() { s.document.CloseWithError(context.Cause(ctx)) })
	return s.document, -1, nil
}

// Whoever asks the data plane sees an import get on, and what it came to
// (divergence 27).
func TestImportShowsHowFarItIs(t *testing.T) {
	const some = 5000
	var begin strings.Builder
	begin.WriteString(`{"data":[{"key":"first","value":""}`)
	for i := range some {
		fmt.Fprintf(&begin, `,{"key":"%050d","value":"%050d"}`, i, i)
	}
	all := dataplane.Counts{ItemCount: some + 1, SizeBytes: 100*some + 5}
	for name, c := range map[string]struct {
		end    string
		status popkv.Status
		counts dataplane.Counts
	}{
		"it ends well":   {`]}`, popkv.Ready, all},
		"it fails":       {`,]}`, popkv.ImportFailure, dataplane.Counts{}},
		"it begins anew": {"", popkv.Provisioning, dataplane.Counts{}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				drv := memjournal.New(memjournal.Options{})
				document, text := io.Pipe()
				var log bytes.Buffer
				w := start(t, drv, Options{Source: slowly{document}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
				s := w.create(NewStore{Name: "s", Import: importOf("x")})
				describe := func() (popkv.Status, dataplane.Counts) {
					t.Helper()
					plane := dataplane.New(w.j, dataplane.Options{})
					d, err := plane.Describe(t.Context(), dataplane.Target{Caller: root, Store: s.ID})
					if err != nil {
						t.Fatal(err)
					}
					return d.Status, d.Counts
				}
				if status, counts := describe(); status != popkv.Provisioning || counts != (dataplane.Counts{}) {
					t.Errorf("before: %s with %+v", status, counts)
				}
				if _, err := io.WriteString(text, begin.String()); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Second)
				status, counts := describe()
				if status != popkv.Provisioning || counts.ItemCount < some/10 || counts.ItemCount > some || counts.SizeBytes != 5+100*int64(counts.ItemCount-1) {
					t.Errorf("on the way: %s with %+v", status, counts)
				}
				synctest.Wait()
				if want := fmt.Sprintf("items=%d", counts.ItemCount); !strings.Contains(log.String(), want) {
					t.Errorf("the log does not say %q:\n%s", want, log.String())
				}
				w.audit()
				if c.end == "" {
					w.stop()
					document, text = io.Pipe()
					w = start(t, drv, Options{Source: slowly{document}})
				} else if _, err := io.WriteString(text, c.end); err != nil {
					t.Fatal(err)
				} else {
					text.Close()
				}
				synctest.Wait()
				if status, counts := describe(); status != c.status || counts != c.counts {
					t.Errorf("at last: %s with %+v", status, counts)
				}
				w.audit()
				w.stop()
				text.Close()
			})
		})
	}
}

// A process that was paused must not finish an import that another process has
// taken over, nor one of a store that is gone.
func TestPausedImportHasNoEffect(t *testing.T) {
	for name, meanwhile := range map[string]func(t *testing.T, other *world){
		"taken over and done": func(t *testing.T, other *world) {
			if s := other.describe("s"); s.Status != popkv.Ready {
				t.Errorf("taken over: %+v", s)
			}
		},
		"deleted and created again": func(t *testing.T, other *world) {
			if err := other.Delete(t.Context(), other.target("s"), "ETVPDKIKX0DER"); err != nil {
				t.Fatal(err)
			}
			other.create(NewStore{Name: "s"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				drv := memjournal.New(memjournal.Options{})
				resume := make(chan struct{})
				paused := start(t, drv, Options{Source: &documents{
					texts: map[string]string{"x": `{"data":[{"key":"stale","value":""}]}`},
					open:  func(context.Context, s3import.Location) { <-resume },
				}})
				paused.create(NewStore{Name: "s", Import: importOf("x")})
				synctest.Wait()
				other := start(t, drv, Options{Source: &documents{texts: map[string]string{"x": twoItems}}})
				synctest.Wait()
				meanwhile(t, other)
				before := other.describe("s")
				close(resume)
				synctest.Wait()
				after := other.describe("s")
				if diff := cmp.Diff(before, after); diff != "" {
					t.Errorf("the paused import changed something:\n%s", diff)
				}
				head, err := other.j.Head(t.Context(), after.ID)
				if err != nil || head.Items.Has("stale") {
					t.Errorf("the paused import's items are there, %v", err)
				}
				other.audit()
				paused.stop()
				other.stop()
			})
		})
	}
}

// Whoever took the job over is the only one to end it, well or badly.
func TestImportTakenOverEndsOnce(t *testing.T) {
	for _, key := range []string{"x", "missing"} {
		synctest.Test(t, func(t *testing.T) {
			drv := memjournal.New(memjournal.Options{})
			resume, release := make(chan struct{}), make(chan struct{})
			paused := start(t, drv, Options{Source: &documents{
				texts: map[string]string{"x": `{"data":[{"key":"stale","value":""}]}`},
				open:  func(context.Context, s3import.Location) { <-resume },
			}})
			s := paused.create(NewStore{Name: "s", Import: importOf(key)})
			synctest.Wait()
			other := start(t, drv, Options{Source: &documents{
				texts: map[string]string{key: twoItems},
				open:  func(context.Context, s3import.Location) { <-release },
			}})
			synctest.Wait()
			close(resume)
			synctest.Wait()
			if got := other.describe("s"); got.Status != popkv.Provisioning {
				t.Errorf("the process that lost the job made the store %s", got.Status)
			}
			close(release)
			synctest.Wait()
			if m := other.meta(s); m.Status != popkv.Ready || m.Items != 2 {
				t.Errorf("%s with %d items", m.Status, m.Items)
			}
			other.audit()
			paused.stop()
			other.stop()
		})
	}
}

func TestImportsWaitTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most, total atomic.Int32
		w := newWorld(t, Options{ConcurrentImports: 3, Source: &documents{
			texts: map[string]string{"x": twoItems},
			open: func(ctx context.Context, _ s3import.Location) {
				n := now.Add(1)
				defer now.Add(-1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				total.Add(1)
				time.Sleep(10 * time.Second)
			},
		}})
		for i := range 10 {
			w.create(NewStore{Name: fmt.Sprint("s", i), Import: importOf("x")})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if most.Load() != 3 || total.Load() != 10 || len(w.list(StoreQuery{MaxItems: 100, Status: "READY"}).Stores) != 10 {
			t.Errorf("%d at once, %d in all", most.Load(), total.Load())
		}
		w.audit()
		w.stop()
	})
}

// Whatever becomes of one commit of a store's provisioning, it ends as it
// should: every answer a driver may give, at every commit, with the process
// going on and with a restart.
func TestProvisioningSurvivesEveryFault(t *testing.T) {
	faults := map[string]memjournal.Fault{
		"refused": memjournal.Refused, "unknown, lost": memjournal.UnknownLost, "unknown, applied": memjournal.UnknownApplied,
		"failed, lost": memjournal.FailedLost, "failed, applied": memjournal.FailedApplied,
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			for at := 1; ; at++ {
				if !provisionWithFault(t, at, fault) {
					if at < 4 {
						t.Errorf("only %d commits to try", at-1)
					}
					break
				}
			}
		})
	}
}

// provisionWithFault lets one commit after the start fail; it reports whether
// there were that many.
func provisionWithFault(t *testing.T, at int, fault memjournal.Fault) (tried bool) {
	synctest.Test(t, func(t *testing.T) {
		var armed atomic.Bool
		var commits atomic.Int32
		drv := memjournal.New(memjournal.Options{Fault: func(c memjournal.Call) memjournal.Fault {
			if armed.Load() && (c.Method == "Commit" || c.Method == "Stage") && int(commits.Add(1)) == at {
				return fault
			}
			return memjournal.NoFault
		}})
		source := &documents{texts: map[string]string{"x": twoItems}}
		w := start(t, drv, Options{Source: source})
		armed.Store(true)
		_, err := w.Create(t.Context(), root, NewStore{Name: "s", Import: importOf("x")})
		refused := popkv.KindOf(err) == popkv.Unavailable && err != nil
		if err != nil && !refused {
			t.Fatalf("create: %v", err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		armed.Store(false)
		if fault == memjournal.FailedLost || fault == memjournal.FailedApplied {
			w.stop()
			drv = drv.Restart()
			w = start(t, drv, Options{Source: source})
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		w.audit()
		target := w.target("s")
		if target.Exists {
			s := w.describe("s")
			head, err := w.j.Head(t.Context(), s.ID)
			if s.Status != popkv.Ready || s.Version != 2 || err != nil || head.Items.Len() != 2 {
				t.Errorf("commit %d: %+v, %v", at, s, err)
			}
		} else if !refused {
			t.Errorf("commit %d: an acknowledged store is gone", at)
		}
		tried = int(commits.Load()) >= at
		w.stop()
	})
	return tried
}

// Storage goes dark in the middle of a commit that did apply, and comes back.
// A create in doubt may have made a store, which this process brings to READY
// all the same; and an import whose end was in doubt is known to have ended.
func TestProvisioningInDoubtEnds(t *testing.T) {
	for key, want := range map[string]struct {
		commits int32
		status  popkv.Status
		reason  s3import.Reason
	}{
		"x":       {3, popkv.Ready, ""},
		"missing": {2, popkv.ImportFailure, s3import.Unreadable},
	} {
		for at := int32(1); at <= want.commits; at++ {
			synctest.Test(t, func(t *testing.T) {
				var commits atomic.Int32
				var armed, bright atomic.Bool
				drv := memjournal.New(memjournal.Options{Fault: func(c memjournal.Call) memjournal.Fault {
					if c.Method != "Commit" || !armed.Load() || bright.Load() {
						return memjournal.NoFault
					}
					switch n := commits.Add(1); {
					case n < at:
						return memjournal.NoFault
					case n == at:
						return memjournal.UnknownApplied
					}
					return memjournal.UnknownLost
				}})
				var seen progress
				w := start(t, drv, Options{Progress: seen.add, Source: &documents{texts: map[string]string{"x": twoItems}}})
				armed.Store(true)
				_, err := w.Create(t.Context(), root, NewStore{Name: "s", Import: importOf(key)})
				if at == 1 && popkv.KindOf(err) != popkv.Unavailable || at > 1 && err != nil {
					t.Errorf("create in the dark: %v", err)
				}
				time.Sleep(10 * time.Second)
				bright.Store(true)
				time.Sleep(time.Minute)
				synctest.Wait()
				if commits.Load() < at {
					t.Errorf("only %d commits", commits.Load())
				}
				if s := w.describe("s"); s.Status != want.status || s.Version != 2 {
					t.Errorf("%s, dark from commit %d: %+v", key, at, s)
				}
				if p := seen.last(); !p.Done || p.Reason != string(want.reason) {
					t.Errorf("%s, dark from commit %d: progress %+v", key, at, p)
				}
				w.audit()
				w.stop()
			})
		}
	}
}

// A process that takes a job up and never hears whether it did works on it all
// the same.
func TestJobTakenUpInDoubtEnds(t *testing.T) {
	for name, first := range map[string]memjournal.Fault{"applied": memjournal.UnknownApplied, "lost": memjournal.UnknownLost} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var armed atomic.Bool
				var takes atomic.Int32
				drv := memjournal.New(memjournal.Options{Fault: func(c memjournal.Call) memjournal.Fault {
					if !armed.Load() || c.Method != "Commit" {
						return memjournal.NoFault
					}
					for _, op := range c.Txn.Ops {
						if op.Kind == journal.Put && strings.HasPrefix(op.Key, journal.ImportJobPrefix()) {
							if takes.Add(1) == 1 {
								return first
							}
							return memjournal.UnknownLost
						}
					}
					return memjournal.NoFault
				}})
				source := &documents{texts: map[string]string{"x": twoItems}}
				w := start(t, drv, Options{DelayTransientStatuses: time.Second, Source: source})
				w.create(NewStore{Name: "s", Import: importOf("x")})
				w.stop()
				armed.Store(true)
				w = start(t, drv, Options{Source: source})
				time.Sleep(10 * time.Second)
				armed.Store(false)
				time.Sleep(time.Minute)
				synctest.Wait()
				if takes.Load() < 2 {
					t.Errorf("the job was taken up %d times", takes.Load())
				}
				if s := w.describe("s"); s.Status != popkv.Ready || s.Version != 2 {
					t.Errorf("%+v", s)
				}
				w.audit()
				w.stop()
			})
		})
	}
}

func TestFailingDocumentSurvivesEveryFault(t *testing.T) {
	for _, fault := range []memjournal.Fault{memjournal.Refused, memjournal.UnknownLost, memjournal.UnknownApplied} {
		for at := int32(1); at <= 3; at++ {
			synctest.Test(t, func(t *testing.T) {
				var commits atomic.Int32
				var armed atomic.Bool
				drv := memjournal.New(memjournal.Options{Fault: func(c memjournal.Call) memjournal.Fault {
					if armed.Load() && c.Method == "Commit" && commits.Add(1) == at {
						return fault
					}
					return memjournal.NoFault
				}})
				var seen progress
				w := start(t, drv, Options{Progress: seen.add, Source: &documents{open: func(context.Context, s3import.Location) { armed.Store(true) }}})
				s := w.create(NewStore{Name: "s", Import: importOf("missing")})
				time.Sleep(time.Minute)
				synctest.Wait()
				if m := w.meta(s); m.Status != popkv.ImportFailure {
					t.Errorf("fault %d at commit %d: %s", fault, at, m.Status)
				}
				if p := seen.last(); !p.Done || p.Reason != string(s3import.Unreadable) {
					t.Errorf("fault %d at commit %d: progress %+v", fault, at, p)
				}
				w.audit()
				w.stop()
			})
		}
	}
}

// Creates, imports, updates and deletes of a few names at once, by two
// processes on one driver.
func TestCreateDeleteAndImportRaces(t *testing.T) {
	drv := memjournal.New(memjournal.Options{})
	source := &documents{texts: map[string]string{"x": twoItems, "bad": "bad"}}
	a, b := start(t, drv, Options{Source: source}), start(t, drv, Options{Source: source})
	var won, lost atomic.Int32
	var working sync.WaitGroup
	for i := range 8 {
		working.Go(func() {
			w := []*world{a, b}[i%2]
			for n := range 40 {
				name := fmt.Sprint("s", (i+n)%3)
				in := NewStore{Name: name}
				switch n % 3 {
				case 1:
					in.Import = importOf("x")
				case 2:
					in.Import = importOf("bad")
				}
				ctx := context.Background()
				_, err := w.Create(ctx, root, in)
				switch popkv.KindOf(err) {
				case popkv.Internal:
					if err != nil {
						t.Errorf("create: %v", err)
					}
					won.Add(1)
				case popkv.StoreExists:
					lost.Add(1)
				case popkv.Unavailable: // too many concurrent changes
				default:
					t.Errorf("create: %v", err)
				}
				target, err := w.Store(ctx, root.Account, name)
				if err != nil {
					t.Errorf("find: %v", err)
					continue
				}
				s, err := w.Describe(ctx, target)
				if err == nil {
					err = w.Delete(ctx, target, s.ETag())
				}
				switch popkv.KindOf(err) {
				case popkv.StoreNotFound, popkv.StaleETag, popkv.Unavailable:
				default:
					if err != nil {
						t.Errorf("delete: %v", err)
					}
				}
			}
		})
	}
	working.Wait()
	if won.Load() == 0 {
		t.Error("no create won")
	}
	t.Logf("%d creates won, %d lost", won.Load(), lost.Load()) // a busy machine may run the workers one by one
	// Let what is left come to its end.
	for len(a.list(StoreQuery{MaxItems: 100, Status: string(popkv.Provisioning)}).Stores) > 0 {
		if t.Context().Err() != nil {
			t.Fatal("a store stays PROVISIONING")
		}
	}
	a.audit()
}

// Two creates of one name: one wins, whatever the interleaving.
func TestOneCreateWins(t *testing.T) {
	w := newWorld(t, Options{})
	var won atomic.Int32
	var working sync.WaitGroup
	for range 32 {
		working.Go(func() {
			_, err := w.Create(context.Background(), root, NewStore{Name: "s"})
			if err == nil {
				won.Add(1)
			} else if k := popkv.KindOf(err); k != popkv.StoreExists && k != popkv.Unavailable {
				t.Error(err)
			}
		})
	}
	working.Wait()
	if won.Load() != 1 {
		t.Errorf("%d won", won.Load())
	}
	w.audit()
}

// An update and the deletes that hold the same ETag: one of them wins.
func TestOneHolderOfAnETagWins(t *testing.T) {
	w := newWorld(t, Options{})
	for n := range 20 {
		name := fmt.Sprint("s", n)
		w.create(NewStore{Name: name})
		target, etag := w.target(name), w.describe(name).ETag()
		var won atomic.Int32
		var working sync.WaitGroup
		for i := range 8 {
			working.Go(func() {
				var err error
				if i%2 == 0 {
					err = w.Delete(context.Background(), target, etag)
				} else {
					_, err = w.Update(context.Background(), target, etag, fmt.Sprint(i))
				}
				if err == nil {
					won.Add(1)
				}
			})
		}
		working.Wait()
		if won.Load() != 1 {
			t.Errorf("%d won", won.Load())
		}
	}
	w.audit()
}

// A record that cannot be read is reported, and stays as it is.
func TestUnknownRecordsAreRefused(t *testing.T) {
	w := newWorld(t, Options{})
	s := w.create(NewStore{Name: "s"})
	err := w.j.Catalog(t.Context(), func(tx *journal.Tx) error {
		tx.Put(journal.ControlKey(s.ID), []byte(`{"name":"s","from":"the future"}`))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Store(t.Context(), root.Account, "s")
	if popkv.KindOf(err) != popkv.Internal || err == nil || !strings.Contains(err.Error(), "k/"+s.ID.String()) || strings.Contains(popkv.Message(err), "k/") {
		t.Errorf("%v; to the client: %s", err, popkv.Message(err))
	}
}
