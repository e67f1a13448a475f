package cfworker

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/popkv/popkv/internal/cfjs"
)

// workerEnv is set in the environment of a worker, and nothing else of the
// parent's is.
const workerEnv = "POPKV_FUNCTION_WORKER"

// init makes this process a worker if that is what it was started as. A worker
// needs nothing but this package and those that it imports, so it does not wait
// for the rest of the program to be initialized, which took a fifth of a start.
func init() {
	if os.Getenv(workerEnv) != "" {
		os.Exit(work())
	}
}

// work is a worker's life. It returns what the process must exit with.
func work() int {
	// The terminal's interrupt and the service manager's SIGTERM are for the
	// parent, which may still want its answers.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	w := &worker{in: newFrameReader(os.Stdin), out: os.Stdout, programs: map[programHash]*cfjs.Program{}}
	if err := w.serve(); err != nil && err != io.EOF {
		os.Stderr.WriteString("function worker: " + err.Error() + "\n")
		return 1
	}
	return 0
}

// A worker is the other end of a [process].
type worker struct {
	in      *frameReader
	out     io.Writer
	buf     []byte // of the frame being written
	options cfjs.Options
	fuse    fuse
	burn    time.Duration // how long the fuse is

	programs map[programHash]*cfjs.Program
	order    []programHash // of their arrival
}

// maxPrograms bounds the programs that a worker keeps compiled.
const maxPrograms = 32

// serve answers calls until the parent closes the pipe, which is [io.EOF].
func (w *worker) serve() error {
	kind, payload, err := w.in.read()
	if err != nil {
		return err
	}
	c := decoder(payload)
	var s setup
	s.code(c)
	if err := c.finish(); err != nil || kind != frameSetup {
		return errors.Join(err, errFrame)
	}
	w.options = cfjs.Options{
		Budget: s.budget, HardLimit: s.hardLimit, WallLimit: s.wallLimit,
		MemoryLimit: s.heapBytes, Edge: s.edge, WholeProcess: true, FreeReads: true,
	}
	w.burn = s.fuse
	if w.fuse, err = newFuse(); err != nil {
		return err
	}
	err = w.onThread(func() error {
		w.warmUp()
		if err := limitMemory(s.memoryBytes); err != nil {
			return err
		}
		return w.answerCalls()
	})
	for err == errWorn {
		err = w.onThread(w.answerCalls)
	}
	return err
}

// errWorn asks for a new thread: the parent has let this one yield to all others,
// which cannot be undone.
var errWorn = errors.New("worn thread")

// onThread runs f on a thread of its own, which ends with it.
func (w *worker) onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		thread := cfjs.CurrentThread() // what waits for the parent must not count for a function
		w.options.Thread = &thread
		done <- f()
	}()
	return <-done
}

// answerCalls runs functions until the parent says that the thread is worn.
func (w *worker) answerCalls() error {
	thread := currentThread()
	w.begin(frameReady)
	e := encoder(w.buf)
	e.int(&thread)
	w.buf = e.out
	for {
		if err := w.send(); err != nil {
			return err
		}
		kind, payload, err := w.in.read()
		if err != nil {
			return err
		}
		switch kind {
		case frameCall:
		case frameRenew:
			return errWorn
		default:
			return errFrame
		}
		if err := w.fuse.set(w.burn); err != nil {
			return err
		}
		if err := w.call(payload); err != nil {
			return err
		}
		if err := w.fuse.set(0); err != nil {
			return err
		}
	}
}

// warmUp runs a function once, so that the first call finds the code in memory
// and the threads started, and so that memory is measured as it will be.
func (w *worker) warmUp() {
	const source = "async function handler(event) { return event.request; }"
	event := &cfjs.Event{Version: "1.0", Context: cfjs.Context{EventType: cfjs.ViewerRequest}, Request: cfjs.Request{Method: "GET", URI: "/"}}
	cfjs.Compile([]byte(source), cfjs.Runtime20).Run(context.Background(), event, nil, w.options)
	debug.FreeOSMemory()
}

func (w *worker) begin(kind frameKind) { w.buf = beginFrame(w.buf, kind) }

func (w *worker) send() error { return writeFrame(w.out, w.buf) }

// ask sends the frame that was begun and returns the payload of its answer.
func (w *worker) ask(answer frameKind) ([]byte, error) {
	if err := w.send(); err != nil {
		return nil, err
	}
	kind, payload, err := w.in.read()
	if err == nil && kind != answer {
		err = errFrame
	}
	return payload, err
}

// call runs a function and leaves the answer to be sent.
func (w *worker) call(payload []byte) error {
	c := decoder(payload)
	var q request
	q.code(c)
	if err := c.finish(); err != nil {
		return err
	}
	program, err := w.program(q.hash, q.runtime)
	if err != nil {
		return err
	}
	options := w.options
	if !q.now.IsZero() {
		options.Now = func() time.Time { return q.now }
	}
	var store cfjs.Store
	if q.store != nil {
		store = &pipedStore{w, *q.store}
	}
	result, err := program.Run(context.Background(), &q.event, store, options)
	if err != nil {
		w.begin(frameDefect)
		w.buf = append(w.buf, err.Error()...)
		return nil
	}
	w.begin(frameResult)
	e := encoder(w.buf)
	codeResult(e, &result)
	w.buf = e.out
	return nil
}

// program returns a compiled program, and asks for its code if it is new.
func (w *worker) program(hash programHash, version cfjs.Runtime) (*cfjs.Program, error) {
	if p := w.programs[hash]; p != nil {
		return p, nil
	}
	w.begin(frameNeedProgram)
	code, err := w.ask(frameProgram)
	if err != nil {
		return nil, err
	}
	if len(w.order) == maxPrograms {
		delete(w.programs, w.order[0])
		w.order = append(w.order[:0], w.order[1:]...)
	}
	p := cfjs.Compile(code, version)
	w.programs[hash] = p
	w.order = append(w.order, hash)
	return p, nil
}

// A pipedStore asks the parent.
type pipedStore struct {
	w    *worker
	info storeInfo
}

// Get implements [cfjs.Store]. Without a parent there is nobody to run for.
func (s *pipedStore) Get(key string) (string, bool) {
	if len(key) > maxKey {
		return "", false
	}
	s.w.begin(frameGet)
	s.w.buf = append(s.w.buf, key...)
	answer, err := s.w.ask(frameValue)
	if err != nil || len(answer) == 0 {
		os.Exit(1)
	}
	return string(answer[1:]), answer[0] == 1
}

// Count implements [cfjs.Store].
func (s *pipedStore) Count() int { return s.info.count }

// Meta implements [cfjs.Store].
func (s *pipedStore) Meta() cfjs.StoreMeta { return s.info.about }
