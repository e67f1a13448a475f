package bench

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// An appendLog is the least that a durable log can do: whoever finds a turn
// free writes the bytes of all who wait, and syncs once for them.
type appendLog struct {
	file  *os.File
	queue chan logEntry
	ended chan struct{}
}

type logEntry struct {
	bytes []byte
	done  chan error
}

// sharing bounds how many entries share a sync.
const sharing = 512

func newAppendLog(b *testing.B) *appendLog {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	l := &appendLog{file: f, queue: make(chan logEntry, 4096), ended: make(chan struct{})}
	go l.run()
	return l
}

// append returns once the bytes are on disk.
func (l *appendLog) append(bytes []byte) error {
	e := logEntry{bytes, make(chan error, 1)}
	l.queue <- e
	return <-e.done
}

// close ends the log, to which nobody appends any longer.
func (l *appendLog) close() error {
	close(l.queue)
	<-l.ended
	return errors.Join(l.file.Close(), os.Remove(l.file.Name()))
}

func (l *appendLog) run() {
	defer close(l.ended)
	var at int64
	var buf []byte
	for first := range l.queue {
		batch := []logEntry{first}
		for len(batch) < sharing && len(l.queue) > 0 {
			batch = append(batch, <-l.queue)
		}
		buf = buf[:0]
		for _, e := range batch {
			buf = append(buf, e.bytes...)
		}
		_, err := l.file.WriteAt(buf, at)
		at += int64(len(buf))
		if err == nil {
			err = syscall.Fdatasync(int(l.file.Fd()))
		}
		for _, e := range batch {
			e.done <- err
		}
	}
}
