package pebblejournal

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// A latch remembers the first failure after which nothing may be acknowledged
// until a restart has verified the data.
//
// The engine must not see such a failure: it would acknowledge a later commit,
// or panic while it holds its locks. So whoever trips the latch inside the
// engine is held in [latch.freeze] for good, and so is the engine's every
// later attempt to write. The goroutines that stay behind are the price.
type latch struct {
	log     *slog.Logger
	tripped chan struct{} // closed at the first failure
	onTrip  func(error)   // called with it, under whatever locks the engine holds

	mu  sync.Mutex
	err error
}

func newLatch(log *slog.Logger) *latch {
	return &latch{log: log, tripped: make(chan struct{}), onTrip: func(error) {}}
}

func (l *latch) trip(err error) {
	l.mu.Lock()
	first := l.err == nil
	if first {
		l.err = err
		close(l.tripped)
	}
	l.mu.Unlock()
	if first {
		l.log.Error("storage failed: nothing more is acknowledged until a restart has verified the data", "error", err)
		l.onTrip(err)
	}
}

func (l *latch) cause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// freeze returns while the latch is open, and else never.
func (l *latch) freeze() {
	if l.cause() != nil {
		select {}
	}
}

// run returns fn's error, or the latch's cause if that trips meanwhile: fn, on
// a goroutine of its own, may then be frozen.
func (l *latch) run(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		defer l.guard()
		done <- fn()
	}()
	select {
	case err := <-done:
		return err
	case <-l.tripped:
		return l.cause()
	}
}

// guard turns a panic of the engine into a failure.
func (l *latch) guard() {
	if p := recover(); p != nil {
		l.trip(fmt.Errorf("engine panic: %v", p))
	}
}

// engineLogger hands the engine's words to the driver's logger. Fatalf trips
// the latch and does not return, as the engine expects of it.
type engineLogger struct{ latch *latch }

var _ pebble.Logger = engineLogger{}

func (l engineLogger) Infof(format string, args ...any) {
	if l.latch.log.Enabled(context.Background(), slog.LevelDebug) {
		l.latch.log.Debug("engine", "detail", fmt.Sprintf(format, args...))
	}
}

func (l engineLogger) Errorf(format string, args ...any) {
	l.latch.log.Warn("engine error", "detail", fmt.Sprintf(format, args...))
}

func (l engineLogger) Fatalf(format string, args ...any) {
	l.latch.trip(fmt.Errorf("engine: "+format, args...))
	l.latch.freeze()
}

// listener reports damage where it is found. Damage of one table does not stop
// the driver: the read that met it fails, and the others go on.
func (l engineLogger) listener() *pebble.EventListener {
	e := &pebble.EventListener{
		BackgroundError: func(err error) {
			if !isNoSpace(err) { // which is tried again and again, and has been reported
				l.latch.log.Warn("background work of the engine failed", "error", err)
			}
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			l.latch.log.Error("a file of the data directory is damaged", "file", info.Path, "error", info.Details)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			l.latch.log.Warn("writes wait for the engine", "reason", info.Reason)
		},
	}
	e.EnsureDefaults(l)
	return e
}
