package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/journal/pebblejournal"
	origin "github.com/popkv/popkv/internal/server"
)

// A plan says what a server process is to serve.
type plan struct {
	Name       string
	Kind       kind
	Processors int // GOMAXPROCS; 0: the machine's

	// Of popkv only.
	Dir    string // for Pebble; "": in memory
	Stores int
	Pairs  int    // of each store
	Log    string // file for the request log; "": no log
}

// A kind is what answers a request.
type kind string

const (
	netHTTP       kind = "net/http"        // a fixed answer
	netHTTPVerify kind = "net/http+verify" // the same after one signature check
	popkvServer   kind = "popkv"
)

// A greeting is a server process's first line, once it takes requests.
type greeting struct {
	Address    string
	Stores     []popkv.StoreID
	ETags      []string
	Known      credential // the server has its secret
	PublicOnly credential // the server has its public key alone
}

// A credential is an access key.
type credential struct{ ID, Secret string }

// serve does what the plan says. Each line on stdin is answered by what the
// process has used; the end of stdin ends it.
func (p plan) serve(stdin io.Reader, stdout io.Writer) error {
	if dir := os.Getenv("BENCH_PROFILES"); dir != "" {
		f, err := os.Create(filepath.Join(dir, strings.ReplaceAll(p.Name, "/", "-")+".pprof"))
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	hello, stop, err := p.start(context.Background())
	if err != nil {
		return err
	}
	out := json.NewEncoder(stdout)
	if err := out.Encode(hello); err != nil {
		return err
	}
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		used, err := ownUsage()
		if err != nil {
			return err
		}
		if err := out.Encode(used); err != nil {
			return err
		}
	}
	return stop()
}

// start takes requests until stop is called.
func (p plan) start(ctx context.Context) (hello greeting, stop func() error, err error) {
	if p.Kind == popkvServer {
		return p.startPopkv(ctx)
	}
	handler := http.HandlerFunc(fixedAnswer)
	if p.Kind == netHTTPVerify {
		v, err := newFastVerify()
		if err != nil {
			return hello, nil, err
		}
		handler = func(w http.ResponseWriter, r *http.Request) {
			if err := v.once(); err != nil {
				panic(err)
			}
			fixedAnswer(w, r)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return hello, nil, err
	}
	hello.Address = l.Addr().String()
	s := &http.Server{Handler: handler}
	go s.Serve(l)
	return hello, s.Close, nil
}

// fixedAnswer is as long as the answer of a GetKey.
func fixedAnswer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, fixedBody)
}

const fixedBody = `{"ItemCount":100000,"Key":"redirect/a/000000000","TotalSizeInBytes":4600000,"Value":"/0000000000000000000000000"}`

// startPopkv fills storage and puts a server on it as `popkv serve` does.
func (p plan) startPopkv(ctx context.Context) (hello greeting, stop func() error, err error) {
	var driver journal.Driver = memjournal.New(memjournal.Options{})
	if p.Dir != "" {
		if driver, err = pebblejournal.Open(p.Dir, pebblejournal.Options{}); err != nil {
			return hello, nil, err
		}
	}
	if err := p.fill(ctx, driver, &hello); err != nil {
		return hello, nil, err
	}
	cfg := config.Default(config.Serve)
	cfg.Listen, cfg.Admin.Listen, cfg.AccountID = "127.0.0.1:0", "", account
	hello.Known = credential{"AKIDBENCHMARK", "a secret for nothing but benchmarks"}
	cfg.RootAccessKeyID = hello.Known.ID
	cfg.RootSecretAccessKey = popkv.NewSecret(hello.Known.Secret)
	log := slog.New(slog.DiscardHandler)
	if p.Log != "" {
		f, err := os.Create(p.Log)
		if err != nil {
			return hello, nil, err
		}
		log = slog.New(slog.NewJSONHandler(f, nil))
	}
	s, err := origin.New(ctx, cfg, origin.Options{Driver: driver, Logger: log})
	if err != nil {
		return hello, nil, err
	}
	public, err := s.Directory().CreateKey(ctx, access.KeyRequest{Account: account, User: popkv.RootUser, PublicKeyOnly: true})
	if err != nil {
		return hello, nil, err
	}
	hello.PublicOnly = credential{public.AccessKeyID, public.Secret.Reveal()}
	if err := s.Listen(ctx); err != nil {
		return hello, nil, err
	}
	hello.Address = strings.TrimPrefix(s.URL(), "http://")
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx) }()
	return hello, func() error {
		cancel()
		return errors.Join(<-served, s.Close(), driver.Close())
	}, nil
}

func (p plan) fill(ctx context.Context, driver journal.Driver, hello *greeting) error {
	j, err := journal.Open(ctx, driver, journal.Options{})
	if err != nil {
		return err
	}
	if hello.Stores, err = fill(ctx, j, p.Stores, p.Pairs, usualPair); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	for _, id := range hello.Stores {
		meta, err := j.Meta(ctx, id)
		if err != nil {
			return err
		}
		hello.ETags = append(hello.ETags, popkv.DataETag(meta.Version))
	}
	return j.Close()
}
