package cfapi

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/controlplane"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/etcdjournal"
	"github.com/popkv/popkv/internal/journal/etcdjournal/etcdtest"
)

var update = flag.Bool("update", false, "rewrite the responses in testdata/wire")

// TestWireFixtures plays each file of testdata/wire against a fresh control
// plane on each driver, in a time of its own that begins with the year 2000 and
// goes on by a second after each step. A file is a scenario: what it shows, an
// optional `setup` section, files that imports may read, and steps of a
// request and a response section.
//
//	setup             limit NAME N           a field of popkv.Limits
//	                  delay DURATION         DelayTransientStatuses
//	                  no imports             nowhere to import from
//	                  no runner              nothing runs functions
//	                  routes N               every function is attached to so many
//	                  user ACCOUNT NAME [POLICY]
//
//	import/BUCKET/KEY a file in the folder that stands for S3
//
//	request           {id:NAME} is the id of the store of that name, {x*5} is
//	                  xxxxx. Host and Content-Length are added. Signed by root,
//	                  or by NAME where the line `As: NAME` says so; `As: none`:
//	                  not signed. `Wait: DURATION` lets that time pass first.
//
//	response          as it came, its headers sorted
func TestWireFixtures(t *testing.T) {
	files, err := filepath.Glob("testdata/wire/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	factories := drivers()
	factories["etcdjournal"] = onEtcd(t)
	for driver, factory := range factories {
		for _, file := range files {
			t.Run(driver+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
				playFixture(t, factory, file)
			})
		}
	}
}

// onEtcd makes drivers on one etcd, each on an empty key space.
func onEtcd(t *testing.T) driverFactory {
	client := etcdtest.Start(t)
	return func(t testing.TB) journal.Driver {
		if _, err := client.Delete(t.Context(), etcdjournal.Prefix, clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
		d, err := etcdjournal.Open(t.Context(), client, etcdjournal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
}

func playFixture(t *testing.T, factory driverFactory, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := newPlayer(t, factory, archive)
	changed := false
	for i := range archive.Files {
		section := &archive.Files[i]
		step, isResponse := strings.CutSuffix(section.Name, ": response")
		if !isResponse {
			continue
		}
		request := archive.Files[i-1]
		if request.Name != step+": request" {
			t.Fatalf("%s: section %q does not follow its request", file, section.Name)
		}
		got := p.play(string(request.Data))
		p.advance(time.Second)
		if got == string(section.Data) {
			continue
		}
		if !*update {
			t.Errorf("%s:\n--- got\n%s--- want\n%s", step, got, section.Data)
			continue
		}
		section.Data, changed = []byte(got), true
	}
	if changed {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A player is one scenario's control plane and the words of its requests.
type player struct {
	*rig
	clock *clock
	words map[string]string // {id:NAME} → id
}

// A clock moves when the test says so.
type clock struct {
	mu    sync.Mutex
	at    time.Time
	moved chan struct{} // closed at the next move
}

func newClock() *clock {
	return &clock{at: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), moved: make(chan struct{})}
}

func (c *clock) now() time.Time {
	at, _ := c.look()
	return at
}

func (c *clock) look() (at time.Time, moved <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at, c.moved
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
	close(c.moved)
	c.moved = make(chan struct{})
}

// until waits for the clock to show t.
func (c *clock) until(ctx context.Context, t time.Time) error {
	for {
		at, moved := c.look()
		if !at.Before(t) {
			return context.Cause(ctx)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// advance moves the clock. Whatever becomes due on the way is done at its own
// time and before advance returns.
func (p *player) advance(d time.Duration) {
	p.t.Helper()
	for end := p.clock.now().Add(d); ; {
		due := p.settle()
		if due.IsZero() || due.After(end) {
			p.clock.set(end)
			return
		}
		p.clock.set(due)
	}
}

// settle waits until no store is PROVISIONING whose time has come, and returns
// when the next one's comes, zero where there is none.
func (p *player) settle() (due time.Time) {
	p.t.Helper()
	prefix := journal.ImportJobPrefix()
	for now := p.clock.now(); ; runtime.Gosched() {
		due = time.Time{}
		busy := false
		err := p.journal.Scan(p.t.Context(), prefix, journal.PrefixEnd(prefix), 0, func(_ string, value []byte) error {
			var job struct {
				ReadyMS int64 `json:"ready_ms"`
			}
			if err := json.Unmarshal(value, &job); err != nil {
				return err
			}
			switch ready := time.UnixMilli(job.ReadyMS).UTC(); {
			case !ready.After(now):
				busy = true
			case due.IsZero() || ready.Before(due):
				due = ready
			}
			return nil
		})
		if err != nil {
			p.t.Fatal(err)
		}
		if !busy {
			return due
		}
	}
}

func newPlayer(t *testing.T, factory driverFactory, archive *txtar.Archive) *player {
	clock := newClock()
	o := controlplane.Options{Limits: popkv.DefaultLimits(), Now: clock.now, Until: clock.until, Runner: fakeRunner{}}
	files := map[string]string{}
	imports := true
	var users [][]string
	for _, f := range archive.Files {
		if name, ok := strings.CutPrefix(f.Name, "import/"); ok {
			files[name] = strings.TrimSuffix(string(f.Data), "\n")
		}
		if f.Name != "setup" {
			continue
		}
		for line := range strings.Lines(string(f.Data)) {
			words := strings.SplitN(strings.TrimSpace(line), " ", 4)
			switch words[0] {
			case "limit":
				n, err := strconv.ParseInt(words[2], 10, 64)
				field := reflect.ValueOf(&o.Limits).Elem().FieldByName(words[1])
				if err != nil || !field.IsValid() {
					t.Fatalf("setup: %q", line)
				}
				field.SetInt(n)
			case "delay":
				var err error
				if o.DelayTransientStatuses, err = time.ParseDuration(words[1]); err != nil {
					t.Fatal(err)
				}
			case "no":
				imports = imports && words[1] != "imports"
				if words[1] == "runner" {
					o.Runner = nil
				}
			case "routes":
				n, err := strconv.Atoi(words[1])
				if err != nil {
					t.Fatal(err)
				}
				o.Routes = func(*journal.Tx, string, string) (int, error) { return n, nil }
			case "user":
				users = append(users, append(words[1:], ""))
			default:
				t.Fatalf("setup: %q", line)
			}
		}
	}
	if imports {
		o.Source = folder(t, files)
	}
	p := &player{rig: newRig(t, factory, o), clock: clock, words: map[string]string{}}
	for _, u := range users {
		p.user(u[0], u[1], u[2])
	}
	return p
}

// A fakeRunner stands for the function runtime. What a function does depends on
// its first word: `echo` returns the event and logs what it was given, `throw`
// fails, `die` cannot be run.
type fakeRunner struct{}

func (fakeRunner) Run(_ context.Context, r controlplane.FunctionRun) (controlplane.FunctionResult, error) {
	if len(r.Event) == 0 || r.Event[0] != '{' {
		return controlplane.FunctionResult{}, popkv.Errorf(popkv.Invalid, "the event is not a JSON object")
	}
	word, _, _ := strings.Cut(string(r.Code), " ")
	switch word {
	case "echo":
		items := "no store"
		if r.Store != nil {
			items = fmt.Sprintf("%s with %d items", r.Store.Status, r.Store.Items.Len())
		}
		return controlplane.FunctionResult{Output: string(r.Event), Logs: []string{r.Runtime, items, "<&>"}, ComputeUtilization: 8}, nil
	case "throw":
		return controlplane.FunctionResult{ErrorMessage: "The CloudFront function associated with the CloudFront distribution is invalid or could not run. Error: thrown", Logs: []string{"before"}}, nil
	}
	return controlplane.FunctionResult{}, errors.New("the worker died")
}

var (
	repeated = regexp.MustCompile(`\{([^{}]+)\*(\d+)\}`)
	named    = regexp.MustCompile(`<Name>([^<]*)</Name><Id>([^<]*)</Id>`)
)

// play sends a request section and returns the response section.
func (p *player) play(section string) string {
	p.t.Helper()
	section = repeated.ReplaceAllStringFunc(section, func(s string) string {
		m := repeated.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[2])
		return strings.Repeat(m[1], n)
	})
	for word, id := range p.words {
		section = strings.ReplaceAll(section, word, id)
	}
	head, body, _ := strings.Cut(section, "\n\n")
	user := popkv.RootUser
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSuffix(head, "\n"), "\n") {
		if name, ok := strings.CutPrefix(line, "As: "); ok {
			user = name
		} else if d, ok := strings.CutPrefix(line, "Wait: "); ok {
			pause, err := time.ParseDuration(d)
			if err != nil {
				p.t.Fatal(err)
			}
			p.advance(pause)
		} else {
			lines = append(lines, line)
		}
	}
	p.settle()
	w := p.send(strings.Join(lines, "\n")+"\n\n"+strings.TrimSuffix(body, "\n"), user)
	var out strings.Builder
	fmt.Fprintf(&out, "HTTP/1.1 %d\n", w.Code)
	for _, name := range slices.Sorted(maps.Keys(w.Header())) {
		for _, value := range w.Header()[name] {
			fmt.Fprintf(&out, "%s: %s\n", name, value)
		}
	}
	out.WriteByte('\n')
	if w.Body.Len() > 0 {
		out.WriteString(w.Body.String() + "\n")
	}
	for _, m := range named.FindAllStringSubmatch(w.Body.String(), -1) {
		p.name(m[1], m[2])
	}
	text := out.String()
	for word, id := range p.words {
		text = strings.ReplaceAll(text, id, word)
	}
	return text
}

// name gives an id its word: {id:NAME}, and {id:NAME.2} for the second store
// of that name.
func (p *player) name(store, id string) {
	for n := 1; ; n++ {
		word := "{id:" + store + "}"
		if n > 1 {
			word = fmt.Sprintf("{id:%s.%d}", store, n)
		}
		if known, ok := p.words[word]; !ok {
			p.words[word] = id
			return
		} else if known == id {
			return
		}
	}
}
