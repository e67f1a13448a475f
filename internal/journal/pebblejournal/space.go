package pebblejournal

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/popkv/popkv/internal/journal"
)

const (
	spaceInterval  = 100 * time.Millisecond // between looks at the free space
	spaceWritten   = 8 << 20                // bytes written that make another look due
	holdInterval   = 10 * time.Millisecond  // between attempts of a held write
	tableDelay     = 50 * time.Millisecond  // so that the engine does not spin on a full disk
	fullMemory     = 200 * time.Millisecond // how long one failed write keeps the disk full
	fullPatience   = time.Second            // how long a commit under way waits for space
	categoryPopkv  = vfs.DiskWriteCategory("popkv")
	ballastName    = "ballast"
	ballastRestore = 2 // free space above the reserve, in ballasts, before it is put back
)

var errFull = errors.New("the disk is full: free some space")

// space knows whether the disk has room. It is asked before a batch is built,
// so that the engine hardly ever meets a full disk, and it carries the engine
// through when it does.
type space struct {
	fs           vfs.FS
	dir          string
	reserveBytes uint64
	ballastBytes int64
	now          func() time.Time
	log          *slog.Logger
	onFull       func() // called whenever a write finds no space

	mu       sync.Mutex
	due      time.Time // of the next look at the free space
	written  uint64    // since the last one
	verdict  error
	lastFull time.Time // of the last write that found no space
	hasFull  bool      // lastFull is set
	ballast  bool      // is there
	patient  bool      // held writes wait; else they fail
	gaveUp   chan struct{}
}

func newSpace(fs vfs.FS, dir string, o Options) *space {
	return &space{
		fs: fs, dir: dir, now: o.Now, log: o.Logger,
		reserveBytes: uint64(o.ReserveBytes), ballastBytes: o.BallastBytes,
		onFull: func() {}, gaveUp: make(chan struct{}),
	}
}

// check returns an [journal.ErrRefused] if the disk has less than the reserve
// and n bytes to spare.
func (s *space) check(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.recentlyFull(now) {
		return fmt.Errorf("%w: %w", journal.ErrRefused, errFull)
	}
	if now.Before(s.due) && s.written < spaceWritten {
		return s.verdict
	}
	s.due, s.written = now.Add(spaceInterval), 0
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err != nil { // the file system cannot say
		s.verdict = nil
		return nil
	}
	was := s.verdict
	s.verdict = nil
	if usage.AvailBytes < s.reserveBytes+uint64(n) {
		s.verdict = fmt.Errorf("%w: %w: %d bytes are left of a reserve of %d",
			journal.ErrRefused, errFull, usage.AvailBytes, s.reserveBytes)
	}
	if (was == nil) != (s.verdict == nil) {
		s.log.Warn("free disk space crossed the reserve", "free_bytes", usage.AvailBytes, "reserve_bytes", s.reserveBytes)
	}
	if !s.ballast && usage.AvailBytes >= s.reserveBytes+ballastRestore*uint64(s.ballastBytes) {
		s.putBallast()
	}
	return s.verdict
}

// stalled reports whether a write found the disk full just now.
func (s *space) stalled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recentlyFull(s.now())
}

func (s *space) recentlyFull(now time.Time) bool {
	return s.hasFull && now.Sub(s.lastFull) < fullMemory
}

func (s *space) wrote(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written += uint64(n)
}

// found notes that a write found no space and gives up the ballast.
func (s *space) found() {
	s.mu.Lock()
	if !s.recentlyFull(s.now()) {
		s.log.Error("the disk is full: writes are refused until space returns")
	}
	s.lastFull, s.hasFull, s.due = s.now(), true, time.Time{}
	if s.ballast {
		s.ballast = false
		if err := s.fs.Remove(s.fs.PathJoin(s.dir, ballastName)); err != nil {
			s.log.Warn("the ballast cannot be removed", "error", err)
		}
	}
	s.mu.Unlock()
	s.onFull()
}

// hold waits a little before a vital write is tried again.
func (s *space) hold() bool { return s.wait(holdInterval) }

// tableFull slows the engine down, which tries a table again at once.
func (s *space) tableFull() bool { return s.wait(tableDelay) }

// wait reports false when nobody shall wait for space, while the directory is
// opened or closed: the write shall fail instead.
func (s *space) wait(d time.Duration) bool {
	s.found()
	s.mu.Lock()
	patient := s.patient
	s.mu.Unlock()
	if !patient {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.gaveUp:
		return false
	}
}

func (s *space) bePatient() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.patient = true
}

// giveUp ends all waiting, for good.
func (s *space) giveUp() { close(s.gaveUp) }

// prepareBallast is called once, before the engine is opened: it puts the
// ballast in place, or takes it away when the disk is nearly full so that the
// engine can start.
func (s *space) prepareBallast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := s.fs.PathJoin(s.dir, ballastName)
	_, err := s.fs.Stat(name)
	s.ballast = err == nil
	usage, err := s.fs.GetDiskUsage(s.dir)
	switch {
	case err != nil:
	case s.ballast && usage.AvailBytes < uint64(s.ballastBytes):
		s.ballast = s.fs.Remove(name) != nil
	case !s.ballast && usage.AvailBytes >= s.reserveBytes+ballastRestore*uint64(s.ballastBytes):
		s.putBallast()
	}
}

// putBallast reserves the blocks of the ballast file. It is a precaution: a
// file system that cannot do it goes without.
func (s *space) putBallast() {
	if s.ballastBytes == 0 {
		return
	}
	name := s.fs.PathJoin(s.dir, ballastName)
	f, err := s.fs.Create(name, categoryPopkv)
	if err == nil {
		err = errors.Join(f.Preallocate(0, s.ballastBytes), f.Close())
		s.ballast = true
	}
	if err != nil {
		s.log.Warn("no ballast could be put aside", "error", err)
	}
}
