package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// certificateCheck is how often the certificate's files are looked at.
const certificateCheck = 10 * time.Second

// certificate serves a TLS certificate from two files and reads them again
// when they have changed, so that a renewal needs no restart. A pair that
// cannot be read or does not match is not used: the old one stays.
type certificate struct {
	files   [2]string // certificate, key
	log     *slog.Logger
	current atomic.Pointer[tls.Certificate]

	// The rest belongs to the goroutine that runs watch.
	loaded    [2]fileStamp // of the files that current was read from
	complaint string       // the last warning, which is not repeated
}

// A fileStamp changes when a file does.
type fileStamp struct {
	modified  time.Time
	sizeBytes int64
}

func loadCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	if certFile == "" || keyFile == "" {
		return nil, errors.New("TLS needs both tls.cert_file and tls.key_file")
	}
	c := &certificate{files: [2]string{certFile, keyFile}, log: log}
	return c, c.load(c.stamps())
}

// stamps are those of the files as they are now. A file that cannot be read
// has none.
func (c *certificate) stamps() (now [2]fileStamp) {
	for i, file := range c.files {
		if info, err := os.Stat(file); err == nil {
			now[i] = fileStamp{info.ModTime(), info.Size()}
		}
	}
	return now
}

// load reads the files, whose stamps were taken before: a change that comes in
// between is seen at the next look.
func (c *certificate) load(stamps [2]fileStamp) error {
	pair, err := tls.LoadX509KeyPair(c.files[0], c.files[1])
	if err != nil {
		return fmt.Errorf("load TLS certificate from %s and %s: %w", c.files[0], c.files[1], err)
	}
	c.current.Store(&pair)
	c.loaded = stamps
	return nil
}

// watch looks at the files until ctx ends.
func (c *certificate) watch(ctx context.Context) {
	ticker := time.NewTicker(certificateCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.refresh()
		}
	}
}

// refresh reads the files again if they have changed. After a failure, usual
// while only one of the two has been replaced, the next look tries again.
func (c *certificate) refresh() {
	stamps := c.stamps()
	if stamps == c.loaded {
		return
	}
	if err := c.load(stamps); err != nil {
		if err.Error() != c.complaint {
			c.log.Warn("the new TLS certificate cannot be used; the old one stays", "error", err)
		}
		c.complaint = err.Error()
		return
	}
	c.complaint = ""
	c.log.Info("TLS certificate reloaded")
}

func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"}, // HTTP/2 costs twice the CPU and its floods need caps of their own
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
}
