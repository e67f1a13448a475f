package cfapi

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/controlplane"
	"github.com/popkv/popkv/internal/journal"
)

var update = flag.Bool("update", false, "rewrite the responses in testdata/wire")

func now() time.Time { return time.Now() }

// TestWireFixtures plays each file of testdata/wire against a fresh control
// plane on each driver, in virtual time that begins with the year 2000 and goes
// on by a second after each step. A file is a scenario: what it shows, an
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
	for driver, factory := range drivers() {
		for _, file := range files {
			t.Run(driver+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { playFixture(t, factory, file) })
			})
		}
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
		time.Sleep(time.Second)
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
	words map[string]string // {id:NAME} → id
}

func newPlayer(t *testing.T, factory driverFactory, archive *txtar.Archive) *player {
	o := controlplane.Options{Limits: popkv.DefaultLimits(), Runner: fakeRunner{}}
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
	p := &player{rig: newRig(t, factory, o), words: map[string]string{}}
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
			time.Sleep(pause)
		} else {
			lines = append(lines, line)
		}
	}
	synctest.Wait()
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
