package cfworker

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/cfjs"
	"golang.org/x/sys/unix"
)

// bombs are functions that try to take all time or memory there is. Each is
// the body of a handler.
var bombs = map[string]string{
	"endless loop":                     `for (;;) {}`,
	"endless await":                    `for (;;) { await 0; }`,
	"endless then-chain":               `const again = () => Promise.resolve().then(again); await again();`,
	"catch swallows the interrupt":     `for (;;) { try { for (;;) {} } catch (e) {} }`,
	"finally swallows the interrupt":   `for (;;) { try { for (;;) {} } finally { continue; } }`,
	"deep recursion":                   `const f = n => f(n + 1) + 1; f(0);`,
	"endless recursion that catches":   `const f = () => { try { f(); } catch (e) { f(); } }; f();`,
	"map recursion":                    `const f = a => a.map(() => f(a)); f([1]);`,
	"toString recursion":               `const o = {toString: () => '' + o}; '' + o;`,
	"stringify nested arrays":          `let a = []; for (let i = 0; i < 1e6; i++) { a = [a]; } JSON.stringify(a);`,
	"String of nested arrays":          `let a = []; for (let i = 0; i < 1e6; i++) { a = [a]; } String(a);`,
	"a million binds":                  `let f = () => 1; for (let i = 0; i < 1e6; i++) { f = f.bind(null); } f();`,
	"repeat":                           `for (let s = 'x';;) { s.repeat(1 << 29); }`,
	"padEnd":                           `for (;;) { 'x'.padEnd(1 << 29); }`,
	"padStart":                         `for (;;) { 'x'.padStart(1 << 29); }`,
	"ArrayBuffer":                      `const a = []; for (;;) { a.push(new Uint8Array(new ArrayBuffer(1 << 30)).fill(1)); }`,
	"many small buffers":               `const a = []; for (;;) { a.push(new Uint8Array(1 << 19).fill(1)); }`,
	"fill a sparse array":              `for (;;) { new Array(1e8).fill(0); }`,
	"join a sparse array":              `for (;;) { new Array(1e8).join('xx'); }`,
	"replaceAll":                       `const s = 'x'.repeat(1e5); for (;;) { s.replaceAll('x', s); }`,
	"replace with $ patterns":          `const s = 'x'.repeat(1e5); for (;;) { s.replace(/x/g, "$'$` + "`" + `"); }`,
	"regexp with plain backtracking":   `for (;;) { /^(a+)+$/.test('a'.repeat(40) + 'b'); }`,
	"regexp with look-ahead":           `for (;;) { /^(?=(a+)+$)a*b/.test('a'.repeat(40) + 'c'); }`,
	"regexp with a back-reference":     `for (;;) { /^(a+)+\1$/.test('a'.repeat(40) + 'b'); }`,
	"JSON.parse of a million brackets": `JSON.parse('['.repeat(1e6));`,
	"JSON.parse of half a bomb":        `const s = '[' + '[],'.repeat(3e5) + '[]]'; for (;;) { JSON.parse(s); }`,
	"string doubling":                  `let s = 'x'; for (;;) { s += s; }`,
	"array push":                       `const a = []; for (;;) { a.push([a.length]); }`,
	"object growth":                    `const o = {}; for (let i = 0;; i++) { o['k' + i] = {i: i}; }`,
	"sort with a slow comparison":      `const a = []; for (let i = 0; i < 1e5; i++) { a.push(i % 7); } for (;;) { a.sort(() => 0.5); }`,
	"split":                            `const s = 'x'.repeat(1e6); for (;;) { s.split(''); }`,
	"concat":                           `let a = [1]; for (;;) { a = a.concat(a); }`,
	"log flood":                        `for (;;) { console.log('x'.repeat(1000)); }`,
	"endless reads":                    `for (let i = 0;; i++) { await kvs.exists('k' + i); }`,
}

// quickBombs are those that run without POPKV_TEST_LONG.
var quickBombs = []string{
	"endless loop", "endless then-chain", "catch swallows the interrupt", "repeat", "regexp with look-ahead", "replaceAll",
	"sort with a slow comparison", "JSON.parse of a million brackets", "endless recursion that catches", "array push", "endless reads",
}

func bombCall(body string) Call {
	c := typicalCall()
	c.Program = NewProgram([]byte("import cf from 'cloudfront'; const kvs = cf.kvs();\n"+
		"async function handler(event) { "+body+"\nreturn event.request; }"), cfjs.Runtime20)
	return c
}

// cpuTime is the processor time of a worker as the kernel counts it, dead or
// alive.
func (p *process) cpuTime() time.Duration {
	if p.alive() {
		used, _ := p.watch.clock.now()
		return used
	}
	return p.processorTime()
}

// peakBytes is the most memory that a worker ever had resident. The kernel
// counts the parent's for a process that has ended.
func (p *process) peakBytes(t *testing.T) int64 {
	t.Helper()
	if !p.alive() {
		return p.cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	}
	status, err := os.ReadFile("/proc/" + strconv.Itoa(p.cmd.Process.Pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	rest, _, _ = strings.Cut(rest, "kB")
	n, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n << 10
}

// slackBytes is by how much the peak may pass the limit.
const slackBytes = 24 << 20

// Every bomb is stopped within twice the hard limit of processor time, in
// bounded memory: with the guards of the runtime, and by the parent and the
// kernel alone.
func TestBombsAreStopped(t *testing.T) {
	names := quickBombs
	if long() {
		names = nil
		for name := range bombs {
			names = append(names, name)
		}
	}
	for _, unguarded := range []bool{false, true} {
		for _, name := range names {
			t.Run(name+map[bool]string{true: ", unguarded"}[unguarded], func(t *testing.T) {
				o := Options{unguarded: unguarded}.withDefaults()
				p := startProcess(t, o)
				before := p.cpuTime()
				began := time.Now()
				result, err := p.run(bombCall(bombs[name]), aTurn(t))
				wall, cpu, peak := time.Since(began), p.cpuTime()-before, p.peakBytes(t)
				t.Logf("%v of processor time in %v, %d MB at most, alive %t: %s", cpu, wall, peak>>20, p.alive(), result.ErrorMessage)
				if err != nil {
					t.Fatal(err)
				}
				if result.Failure != cfjs.ExecutionError && !ends(name) {
					t.Errorf("the function ended with %+v, want an execution error", result)
				}
				if cpu > 2*o.HardLimit {
					t.Errorf("%v of processor time, more than twice the limit of %v", cpu, o.HardLimit)
				}
				if peak > o.MemoryBytes+slackBytes {
					t.Errorf("%d MB, more than the limit of %d MB", peak>>20, o.MemoryBytes>>20)
				}
			})
		}
	}
}

// ends names the bombs that some engines survive.
func ends(name string) bool { return name == "deep recursion" }

// Good functions go on beside hostile ones. How much longer they take is measured
// by BenchmarkNeighboursOfBombs.
func TestNeighboursOfBombs(t *testing.T) {
	if !long() {
		t.Skip("POPKV_TEST_LONG is not set")
	}
	pool := newPool(t, Options{})
	var all neighbours
	for round := range 5 {
		all.run(t, pool, nil)
		all.run(t, pool, hostileCalls(round))
	}
	t.Logf("%d runs; %+v", len(all.latencies), pool.Stats())
	if pool.Stats().Killed == 0 {
		t.Error("no bomb was stopped")
	}
	// A machine that stands still while it counts processor time may cost one.
	if all.failed > 3 {
		t.Errorf("%d neighbours failed", all.failed)
	}
}

// BenchmarkNeighboursOfBombs holds the p99 of 100 parallel good calls beside one
// hostile call after the other against the p99 without. The two are measured in
// turns, and the median of the rounds counts.
func BenchmarkNeighboursOfBombs(b *testing.B) {
	pool := newPool(b, Options{})
	var first neighbours // finds cold workers
	first.run(b, pool, nil)
	var ratios []float64
	for b.Loop() {
		for range 9 {
			var quiet, loud neighbours
			quiet.run(b, pool, nil)
			loud.run(b, pool, hostileCalls(len(ratios)))
			ratios = append(ratios, float64(loud.percentile(99))/float64(quiet.percentile(99)))
		}
	}
	b.Logf("p99 beside bombs, in parts of the p99 without: %.2f", ratios)
	slices.Sort(ratios)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ratios[len(ratios)/2], "p99/quiet≤2")
}

// hostileCalls is every bomb, as functions that were not refused yet.
func hostileCalls(round int) (calls []Call) {
	for name, body := range bombs {
		c := bombCall(body)
		c.Function = name + strconv.Itoa(round)
		calls = append(calls, c)
	}
	return calls
}

// neighbours are good functions.
type neighbours struct {
	mu        sync.Mutex
	latencies []time.Duration
	failed    int
}

// run lets 100 goroutines run a good function for a while, and one go round the
// hostile ones.
func (n *neighbours) run(t testing.TB, pool *Pool, hostile []Call) {
	const period = 2 * time.Second
	began := time.Now()
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			var own []time.Duration
			failed := 0
			for c := typicalCall(); time.Since(began) < period; {
				start := time.Now()
				result, err := pool.Run(t.Context(), c)
				if err != nil || result.Failure != cfjs.NoFailure {
					t.Logf("a neighbour: %v %+v", err, result)
					failed++
				}
				own = append(own, time.Since(start))
			}
			n.mu.Lock()
			defer n.mu.Unlock()
			n.latencies = append(n.latencies, own...)
			n.failed += failed
		})
	}
	if len(hostile) > 0 {
		group.Go(func() {
			for i := 0; time.Since(began) < period; i++ {
				if _, err := pool.Run(t.Context(), hostile[i%len(hostile)]); err != nil && popkv.KindOf(err) != popkv.Throttled {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func (n *neighbours) percentile(p int) time.Duration {
	slices.Sort(n.latencies)
	return n.latencies[len(n.latencies)*p/100]
}

// The limit counts what the collector of garbage does for a function on other
// threads.
func TestGarbageCountsForTheLimit(t *testing.T) {
	o := Options{HardLimit: time.Second, WallLimit: time.Minute}.withDefaults()
	p := startProcess(t, o)
	before := p.cpuTime()
	result, err := p.run(bombCall(bombs["endless await"]), aTurn(t))
	cpu := p.cpuTime() - before
	if err != nil || !result.Exceeded || !p.alive() || cpu > o.HardLimit*6/5 {
		t.Errorf("%v, stopped after %v of processor time, alive %t: %+v", err, cpu, p.alive(), result)
	}
	if result.CPU >= o.HardLimit {
		t.Errorf("charged %v, which is more than the function's own thread used", result.CPU)
	}
}

// A call that gives way where other programs use all processors is made again and
// gives way no more. If it was seen to starve, the next ones do not either.
func TestACallThatGetsNoProcessorIsMadeAgain(t *testing.T) {
	if !long() {
		t.Skip("POPKV_TEST_LONG is not set") // others run beside the short tests
	}
	hogs(t)
	for name, o := range map[string]Options{
		"it starves":     {WallLimit: time.Minute},
		"the wall limit": {WallLimit: 2 * time.Second, starvedTime: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			o.Calls, o.HardLimit = 2, 2*time.Second
			pool := newPool(t, o)
			neighbour, err := pool.turns.take(t.Context(), quickLane) // somebody to give way to
			if err != nil {
				t.Fatal(err)
			}
			defer neighbour.giveBack()
			for i := range 2 {
				c := code(fmt.Sprintf(`for (let i = 0; i < 4e5; i++) {} event.request.uri = '/%d'; return event.request;`, i))
				if result := mustRun(t, pool, c); result.Failure != cfjs.NoFailure || result.Request.URI != fmt.Sprintf("/%d", i) {
					t.Errorf("call %d: %+v", i, result)
				}
			}
			starved := pool.turns.lastStarved.Load() != nil
			if s := pool.Stats(); starved && s.Killed != 1 || starved != (name == "it starves") {
				t.Errorf("starved %t, %+v, want one worker lost", starved, s)
			}
		})
	}
}

// hogs keep every processor busy until the test ends.
func hogs(t *testing.T) {
	for range 2 * runtime.NumCPU() {
		cmd := exec.Command("sh", "-c", "ulimit -t 60; while :; do :; done")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
	}
}

// A worker has its parent's priority when it is ready. A slow call yields the
// processor to others, if there are any, and costs the worker its thread only.
func TestPriorityOfWorkers(t *testing.T) {
	own, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	// A first call takes some time, and beside other programs a call that gives way
	// takes a lot.
	p := startProcess(t, Options{HardLimit: 150 * time.Millisecond, WallLimit: time.Minute, starvedTime: time.Minute}.withDefaults())
	worn := map[int]bool{}
	checkThreads := func() {
		t.Helper()
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid))
		if err != nil || len(threads) < 2 {
			t.Fatal(len(threads), err)
		}
		for _, thread := range threads {
			tid, err := strconv.Atoi(thread.Name())
			if err != nil {
				t.Fatal(err)
			}
			if worn[tid] { // ends, or if it was the first one is never used again
				continue
			}
			attr, err := unix.SchedGetAttr(tid, 0)
			if err != nil || attr.Policy != own.Policy || attr.Nice != own.Nice {
				t.Errorf("thread %d has %+v, %v, want %+v", tid, attr, err, own)
			}
		}
	}
	checkThreads()

	run := func(c Call, l lane, alone bool) {
		t.Helper()
		turns := newTurns(2)
		turn, err := turns.take(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		if !alone {
			if _, err := turns.take(t.Context(), quickLane); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := p.run(c, turn); err != nil || !p.alive() {
			t.Fatal(err, p.alive())
		}
	}
	policy := -1
	c := typicalCall()
	c.Store = looking{c.Store, func() {
		attr, err := unix.SchedGetAttr(p.thread, 0)
		if err != nil {
			t.Error(err)
			return
		}
		policy = int(attr.Policy)
	}}
	for _, tc := range []struct {
		what   string
		call   Call
		lane   lane
		alone  bool
		policy int
		worn   bool
	}{
		{"a quick call", c, quickLane, false, unix.SCHED_NORMAL, false},
		{"a call in the slow lane", c, slowLane, false, unix.SCHED_IDLE, true},
		{"a call in the slow lane that is alone", c, slowLane, true, unix.SCHED_NORMAL, false},
		{"a trial", c, trialLane, false, unix.SCHED_IDLE, true},
		{"a slow call", bombCall(bombs["endless loop"]), quickLane, false, -1, true},
		{"a slow call that is alone", bombCall(bombs["endless loop"]), quickLane, true, -1, false},
	} {
		policy = -1
		before := p.thread
		run(tc.call, tc.lane, tc.alone)
		if policy != tc.policy || p.worn != tc.worn {
			t.Errorf("%s: policy %d, worn %t, want %d and %t", tc.what, policy, p.worn, tc.policy, tc.worn)
		}
		if p.worn {
			if err := p.renew(); err != nil {
				t.Fatal(err)
			}
		}
		if (p.thread != before) != tc.worn || p.worn {
			t.Errorf("%s: thread %d after %d, worn %t", tc.what, p.thread, before, p.worn)
		}
		worn[before] = tc.worn
		checkThreads()
	}
}
