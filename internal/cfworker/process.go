package cfworker

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/cfjs"
)

// A process is a worker as its parent sees it. One goroutine at a time uses it.
type process struct {
	o      *Options
	cmd    *exec.Cmd
	to     *os.File
	from   *frameReader
	pipes  []*os.File
	buf    []byte // of the frame being written
	stderr tail
	exited chan struct{} // closed when the process is gone and cmd.ProcessState is set

	watch  watch
	quiet  bool        // starts with a low priority
	killed atomic.Bool // by us
	thread int         // of the worker's, which runs functions
	worn   bool        // that thread yields the processor, for good

	idleSince time.Time // the pool's
}

// workerProcessors is how much faster than wall time the processor time of a
// worker may pass.
const workerProcessors = 2

// startTimeout bounds the time from starting a process until it is ready.
const startTimeout = 30 * time.Second

// newProcess prepares a worker process; start runs it.
func newProcess(o *Options) (*process, error) {
	path, err := executable()
	if err != nil {
		return nil, err
	}
	childIn, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	from, childOut, err := os.Pipe()
	if err != nil {
		childIn.Close()
		to.Close()
		return nil, err
	}
	p := &process{o: o, to: to, from: newFrameReader(from), pipes: []*os.File{to, from}, exited: make(chan struct{})}
	p.cmd = &exec.Cmd{
		Path: path, Args: []string{"popkv", "function-worker"},
		// The second processor is for the runtime: on one alone, the clock that
		// ends a run would have to wait for the run.
		Env:   []string{workerEnv + "=1", "GOMAXPROCS=" + strconv.Itoa(workerProcessors), "GOTRACEBACK=none", "GOGC=200"},
		Stdin: childIn, Stdout: childOut, Stderr: &p.stderr,
		SysProcAttr: processAttributes(),
	}
	return p, nil
}

// start runs the process. The calling goroutine must be locked to a thread that
// lives at least as long as the process.
func (p *process) start() error {
	err := p.cmd.Start()
	p.cmd.Stdin.(*os.File).Close()
	p.cmd.Stdout.(*os.File).Close()
	if err != nil {
		p.closePipes()
		close(p.exited)
		return err
	}
	if p.quiet {
		startQuietly(p.cmd.Process.Pid)
	}
	p.watch.init(p)
	go func() {
		p.cmd.Wait() // the state says how it ended
		p.closePipes()
		close(p.exited)
	}()
	return nil
}

func (p *process) closePipes() {
	for _, f := range p.pipes {
		f.Close()
	}
}

// setUp tells a process that was started its limits and waits until it is
// ready. The process is killed if that fails.
func (p *process) setUp() error {
	s := setup{
		budget: p.o.Budget, hardLimit: p.o.HardLimit, wallLimit: p.o.WallLimit,
		fuse: killAfter(p.o.HardLimit), heapBytes: p.o.MemoryBytes / 2, memoryBytes: p.o.MemoryBytes, edge: p.o.Edge,
	}
	if p.o.unguarded {
		s.hardLimit, s.wallLimit, s.heapBytes = time.Hour, time.Hour, 1<<40
	}
	p.begin(frameSetup)
	e := encoder(p.buf)
	s.code(e)
	p.buf = e.out
	err := p.send()
	if err == nil {
		err = p.awaitReady()
	}
	if err != nil {
		p.end()
		return fmt.Errorf("function worker did not start: %w: %s", err, p.howItEnded())
	}
	if p.quiet {
		started(p.cmd.Process.Pid)
	}
	return nil
}

// awaitReady waits until the process can take a call. It is killed if that takes
// too long.
func (p *process) awaitReady() error {
	timer := time.AfterFunc(startTimeout, p.kill)
	defer timer.Stop()
	kind, payload, err := p.from.read()
	if err != nil {
		return err
	}
	if kind != frameReady {
		return errFrame
	}
	d := decoder(payload)
	d.int(&p.thread)
	return d.finish()
}

// renew gives a process whose thread is worn another one. It is killed if that
// fails.
func (p *process) renew() error {
	p.begin(frameRenew)
	err := p.send()
	if err == nil {
		err = p.awaitReady()
	}
	if err != nil {
		p.end()
		return fmt.Errorf("function worker did not recover: %w: %s", err, p.howItEnded())
	}
	p.worn = false
	return nil
}

// kill ends the process at once, whatever it does.
func (p *process) kill() {
	p.killed.Store(true)
	p.cmd.Process.Kill()
}

// end kills the process and waits until it is gone.
func (p *process) end() {
	p.kill()
	<-p.exited
}

// alive reports whether the process has not ended by itself.
func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *process) begin(kind frameKind) { p.buf = beginFrame(p.buf, kind) }

func (p *process) send() error { return writeFrame(p.to, p.buf) }

// run runs a call, whose turn it yields if it is slow. The process may be gone
// afterwards: killed because of the call, or ended by what the call did, which
// is the same to the function. An error is for what is not its doing.
func (p *process) run(c Call, t *turn) (cfjs.Result, error) {
	before := p.watch.begin(t)
	conversed := false
	defer func() {
		if !conversed { // the store panicked: the worker would wait for its answer
			p.watch.end()
			p.end()
		}
	}()
	result, defect, err := p.converse(c)
	conversed = true
	stopped, starved := p.watch.end()
	closed := p.killed.Load() && !stopped
	if stopped || err != nil {
		p.end()
	}
	if result.Exceeded && starved {
		return cfjs.Result{}, errStarved
	}
	if err == nil {
		return result, defect
	}
	switch {
	case stopped && starved:
		return cfjs.Result{}, errStarved
	case closed:
		return cfjs.Result{}, errClosed()
	case errors.Is(err, errFrame):
		return cfjs.Result{}, popkv.Wrap(popkv.Internal, err, "the function worker cannot be understood")
	case !stopped && p.processorTime()-before < p.o.HardLimit:
		p.o.Logger.Warn("a function ended its worker", "function", c.Function, "worker", p.howItEnded())
	}
	return cfjs.Result{
		Failure: cfjs.ExecutionError, Exceeded: true, CPU: p.processorTime() - before,
		ErrorMessage: exceededMessage, ComputeUtilization: 100,
	}, nil
}

// errStarved is for a call that was stopped but might have ended well if it had
// not given way to others.
var errStarved = errors.New("the call got no processor")

// processorTime is what a process that has ended had used.
func (p *process) processorTime() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// exceededMessage is what package cfjs says of a run that it stopped.
const exceededMessage = "The CloudFront function associated with the CloudFront distribution is invalid or could not run. " +
	"Error: execution exceeded the time or memory limit"

// converse sends a call and answers the worker's questions until it has the
// result. defect is a failure of the runtime that the process survived.
func (p *process) converse(c Call) (result cfjs.Result, defect, err error) {
	p.begin(frameCall)
	e := encoder(p.buf)
	q := request{hash: c.Program.hash, runtime: c.Program.runtime, now: c.Now, event: *c.Event}
	if c.Store != nil {
		q.store = &storeInfo{c.Store.Meta(), c.Store.Count()}
	}
	q.code(e)
	p.buf = e.out
	for {
		if err := p.send(); err != nil {
			return result, nil, err
		}
		kind, payload, err := p.from.read()
		if err != nil {
			return result, nil, err
		}
		switch {
		case kind == frameResult:
			d := decoder(payload)
			codeResult(d, &result)
			return result, nil, d.finish()
		case kind == frameDefect:
			return result, popkv.Wrap(popkv.Internal, fmt.Errorf("%s", payload), "the function runtime failed"), nil
		case kind == frameNeedProgram:
			p.begin(frameProgram)
			p.buf = append(p.buf, c.Program.code...)
		case kind == frameGet && c.Store != nil:
			p.answer(c.Store.Get(string(payload)))
		default:
			return result, nil, errFrame
		}
	}
}

func (p *process) answer(value string, found bool) {
	p.begin(frameValue)
	if found {
		p.buf = append(append(p.buf, 1), value...)
	} else {
		p.buf = append(p.buf, 0)
	}
}

// howItEnded says why a process that has ended did, without what a function
// may have made it say.
func (p *process) howItEnded() string {
	why := ""
	if p.stderr.contains("function worker:") || p.stderr.contains("fatal error:") {
		why = ", " + p.stderr.firstLine()
	}
	return p.cmd.ProcessState.String() + why
}

// A tail keeps the beginning of what a process writes to stderr.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const maxTail = 4 << 10

// Write implements [io.Writer].
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p[:min(len(p), maxTail-len(t.text))]...)
	return len(p), nil
}

func (t *tail) contains(s string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Contains(t.text, []byte(s))
}

func (t *tail) firstLine() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	line, _, _ := bytes.Cut(t.text, []byte("\n"))
	return string(line)
}
