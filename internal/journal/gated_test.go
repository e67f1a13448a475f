package journal_test

import (
	"sync"

	"github.com/popkv/popkv/internal/journal/memjournal"
)

// A gate holds calls of a driver until they are released, and answers some
// with faults.
type gate struct {
	mu     sync.Mutex
	method string
	passes int
	open   chan struct{}
	faults map[string][]memjournal.Fault // the next answers of a method
	always map[string]memjournal.Fault
	calls  map[string]int
}

// gatedDriver returns a driver whose calls go through the gate.
func gatedDriver() (*memjournal.Driver, *gate) {
	g := &gate{faults: map[string][]memjournal.Fault{}, always: map[string]memjournal.Fault{}, calls: map[string]int{}}
	return newDriver(g.fault), g
}

func (g *gate) fault(c memjournal.Call) memjournal.Fault {
	g.mu.Lock()
	g.calls[c.Method]++
	open := g.open
	if c.Method != g.method || open == nil {
		open = nil
	} else if g.passes > 0 {
		g.passes--
		open = nil
	}
	fault := g.always[c.Method]
	if next := g.faults[c.Method]; len(next) > 0 {
		fault, g.faults[c.Method] = next[0], next[1:]
	}
	g.mu.Unlock()
	if open != nil {
		<-open
	}
	return fault
}

// hold makes calls of method wait.
func (g *gate) hold(method string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.method, g.open = method, make(chan struct{})
}

// passNext lets one more call through.
func (g *gate) passNext() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passes++
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	close(g.open)
	g.open = nil
}

// next sets the answers of the next calls of method.
func (g *gate) next(method string, faults ...memjournal.Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults[method] = faults
}

// all sets the answer of every call of method.
func (g *gate) all(method string, fault memjournal.Fault) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.always[method] = fault
}

func (g *gate) count(method string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[method]
}
