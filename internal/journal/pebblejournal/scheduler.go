package pebblejournal

import (
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// A scheduler lets the engine compact, one compaction at a time, and none
// before the driver has started: the engine's own scheduler lets one begin
// while the engine opens, which then waits for its end, however large it is.
type scheduler struct {
	mu       sync.Mutex
	db       pebble.DBForCompaction
	started  bool
	stopped  bool
	running  bool       // a compaction has the permission
	missed   bool       // the engine asked while it was not to be had
	granting bool       // a call to db is under way
	idle     *sync.Cond // signalled when granting ends
}

var _ pebble.CompactionScheduler = (*scheduler)(nil)

func newScheduler() *scheduler {
	s := &scheduler{}
	s.idle = sync.NewCond(&s.mu)
	return s
}

// Register is called by the engine while it opens.
func (s *scheduler) Register(_ int, db pebble.DBForCompaction) { s.db = db }

// start allows compactions from now on.
func (s *scheduler) start() {
	s.mu.Lock()
	s.started, s.missed = true, true
	s.mu.Unlock()
	s.grant()
}

// Unregister is called by the engine when it closes. No call to the engine is
// under way when it returns, and none follows.
func (s *scheduler) Unregister() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for s.granting {
		s.idle.Wait()
	}
}

// TrySchedule asks for permission. The engine remembers what is not granted,
// and grant offers it later.
func (s *scheduler) TrySchedule() (bool, pebble.CompactionGrantHandle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started || s.stopped || s.running {
		s.missed = true
		return false, nil
	}
	s.running = true
	return true, s
}

// Done gives the permission back, at the end of a compaction.
func (s *scheduler) Done() {
	s.mu.Lock()
	s.running, s.missed = false, true
	s.mu.Unlock()
	s.grant()
}

// grant offers the permission to the engine, for as long as it has asked in
// vain. The engine is called without the lock.
func (s *scheduler) grant() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.started && !s.stopped && !s.running && !s.granting && s.missed {
		s.running, s.granting, s.missed = true, true, false
		s.mu.Unlock()
		waiting, _ := s.db.GetWaitingCompaction()
		taken := waiting && s.db.Schedule(s)
		s.mu.Lock()
		s.granting = false
		s.idle.Broadcast()
		if !taken {
			s.running = false
		}
	}
}

// The rest of the interface is for schedulers that share a machine.

// UpdateGetAllowedWithoutPermission does nothing: there is always one.
func (s *scheduler) UpdateGetAllowedWithoutPermission() {}

// Started does nothing.
func (s *scheduler) Started() {}

// MeasureCPU does nothing.
func (s *scheduler) MeasureCPU(pebble.CompactionGoroutineKind) {}

// CumulativeStats does nothing.
func (s *scheduler) CumulativeStats(pebble.CompactionGrantHandleStats) {}
