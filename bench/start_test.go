package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/pebblejournal"
)

// startCredential is the root key of servers that start on prepared data.
var startCredential = credential{"AKIDBENCHMARK", "a secret for nothing but benchmarks"}

// BenchmarkStart starts `popkv serve` on data of several sizes and measures
// the time from its start as a process to the first 200 of /readyz, what it
// holds of memory two seconds later, and the time of the first GetKey from
// each of up to 20 stores.
//
// Each size is started after a clean stop and after a kill in the middle of
// writes.
func BenchmarkStart(b *testing.B) {
	binary := filepath.Join(b.TempDir(), "popkv")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "./cmd/popkv")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build popkv: %s", out)
	}
	for _, size := range []struct {
		name                     string
		stores, pairs, pairBytes int
	}{
		{"empty", 0, 0, 0},
		{"stores=10000", manyStores, fewPairs, usualPair},
		{"full=100", 100, smallPairs, fullBytes / smallPairs},
	} {
		dir := filepath.Join(b.TempDir(), "data")
		ids, err := prepare(dir, size.stores, size.pairs, size.pairBytes)
		if err != nil {
			b.Fatal(err)
		}
		for _, stop := range []struct {
			name   string
			signal os.Signal
		}{{"stopped", syscall.SIGTERM}, {"killed", syscall.SIGKILL}} {
			b.Run(size.name+"/"+stop.name, func(b *testing.B) {
				m := startMeasurement{b: b, binary: binary, dir: dir, ids: ids, pairs: size.pairs, pairBytes: size.pairBytes}
				m.once(stop.signal, false) // as the measured starts will find it
				for b.Loop() {
					m.once(stop.signal, true)
				}
				m.report()
			})
		}
	}
}

// prepare fills a data directory and closes it.
func prepare(dir string, stores, pairs, pairBytes int) (ids []popkv.StoreID, err error) {
	ctx := context.Background()
	driver, err := pebblejournal.Open(dir, pebblejournal.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, driver.Close()) }()
	j, err := journal.Open(ctx, driver, journal.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	return fill(ctx, j, stores, pairs, pairBytes)
}

// A startMeasurement collects what several starts on one directory took.
type startMeasurement struct {
	b                *testing.B
	binary, dir      string
	ids              []popkv.StoreID
	pairs, pairBytes int

	ready, touch, idle []float64
}

func (m *startMeasurement) report() {
	m.b.ReportMetric(0, "ns/op")
	m.b.ReportMetric(percentile(m.ready, 100), "ready-ms-max≤200")
	m.b.ReportMetric(median(m.ready), "ready-ms")
	m.b.ReportMetric(median(m.idle), "idle-MB≤40")
	if len(m.ids) > 0 {
		m.b.ReportMetric(median(m.touch), "first-touch-ms≤30")
		m.b.ReportMetric(percentile(m.touch, 100), "first-touch-ms-max")
	}
}

// once starts a server, uses it, writes to it and stops it by the signal.
func (m *startMeasurement) once(stop os.Signal, count bool) {
	b := m.b
	cmd := exec.Command(m.binary, "serve", "--data-dir", m.dir, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-level", "info", "--log-format", "json")
	cmd.Env = []string{
		"POPKV_ACCOUNT_ID=" + account,
		"POPKV_ROOT_ACCESS_KEY_ID=" + startCredential.ID, "POPKV_ROOT_SECRET_ACCESS_KEY=" + startCredential.Secret,
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	api, admin := listening(b, bufio.NewScanner(stderr))
	for {
		response, err := http.Get(admin + "/readyz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				break
			}
		}
		time.Sleep(time.Millisecond)
	}
	ready := time.Since(begin)
	s := &server{b: b, greeting: greeting{Address: strings.TrimPrefix(api, "http://"), Stores: m.ids, Known: startCredential}}
	if count {
		m.ready = append(m.ready, ready.Seconds()*1e3)
		time.Sleep(2 * time.Second)
		idle, err := residentBytes(cmd.Process.Pid)
		if err != nil {
			b.Fatal(err)
		}
		m.idle = append(m.idle, float64(idle)/1e6)
		m.touchStores(s)
	}
	m.write(s)
	if err := cmd.Process.Signal(stop); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Wait(); err != nil && stop == syscall.SIGTERM {
		b.Fatal(err)
	}
}

// listening reads a server's log as far as the line that says where it
// listens, and throws the rest away.
func listening(b *testing.B, lines *bufio.Scanner) (api, admin string) {
	b.Helper()
	var seen strings.Builder
	for lines.Scan() {
		seen.WriteString(lines.Text() + "\n")
		var line struct{ Msg, API, Admin string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
			go func() {
				for lines.Scan() {
				}
			}()
			return line.API, line.Admin
		}
	}
	b.Fatal("the server did not start:\n", seen.String())
	return "", ""
}

// touchStores times the first GetKey from some of the stores.
func (m *startMeasurement) touchStores(s *server) {
	sign := s.signer(s.Known)
	conn := s.dial()
	defer conn.Close()
	for i := range min(20, len(m.ids)) {
		var a answer
		request := sign.request(m.b, "GET", target(m.ids[i], item(i%m.pairs, m.pairBytes).Key), "", "")
		begin := time.Now()
		if err := conn.exchange(request, &a); err != nil {
			m.b.Fatal(err)
		}
		m.touch = append(m.touch, time.Since(begin).Seconds()*1e3)
	}
}

// write leaves some hundred records in the log of each touched store, as a
// store in use has them.
func (m *startMeasurement) write(s *server) {
	if len(m.ids) == 0 {
		return
	}
	var a answer
	s.Stores = m.ids[:min(20, len(m.ids))]
	c := s.chain(m.pairs)
	c.pairBytes = m.pairBytes
	conn := s.dial()
	defer conn.Close()
	for _, id := range s.Stores {
		describe := strings.TrimSuffix(target(id, ""), "/keys")
		if err := conn.exchange(c.signer.request(m.b, "GET", describe, "", ""), &a); err != nil {
			m.b.Fatal(err)
		}
		s.ETags = append(s.ETags, string(a.etag))
	}
	for range 50 * len(s.Stores) {
		if err := c.put(conn); err != nil {
			m.b.Fatal(err)
		}
	}
}
