package cfworker

import (
	"runtime"
	"sync"
)

// A starter starts processes from one thread, which lives as long as the
// starter: the system ends a worker when the thread that started it ends, and
// must not do so earlier.
type starter struct {
	begin sync.Once
	tasks chan func()
	done  chan struct{} // closed when the thread is free again
}

func newStarter() *starter {
	return &starter{tasks: make(chan func()), done: make(chan struct{})}
}

// do runs f on the starter's thread. It must not be called after close.
func (s *starter) do(f func()) {
	s.begin.Do(func() {
		go func() {
			defer close(s.done)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for f := range s.tasks {
				f()
			}
		}()
	})
	finished := make(chan struct{})
	s.tasks <- func() {
		defer close(finished)
		f()
	}
	<-finished
}

// close ends the starter. Every process must be gone.
func (s *starter) close() {
	close(s.tasks)
	s.begin.Do(func() { close(s.done) })
	<-s.done
}
