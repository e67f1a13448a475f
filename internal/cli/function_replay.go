package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/popkv/popkv/internal/cfjs"
)

func (a *app) functionReplayCommand() *cobra.Command {
	var file, kind string
	var show int
	cmd := &cobra.Command{
		Use: "replay ACCESS.log --function FILE", Short: "Run a function over the requests of an access log", Args: exactly(1),
		Long: `Run a function over the requests of an access log, and report which responses
would change, which runs fail, and the compute utilization. It reads CloudFront's
standard log and the common and combined format of web servers, also when they
are packed with gzip, and - for stdin.

A log knows little of a request: method, path, query, status, Referer,
User-Agent, and in CloudFront's case Host and perhaps cookies. A function that
reads other headers may do something else with real requests. Where the
function only rewrites a request, what the origin would answer is not known.`,
	}
	local, out := a.addLocal(cmd), a.addOutput(cmd)
	cmd.Flags().StringVar(&file, "function", "", "file with the function")
	cmd.Flags().StringVar(&kind, "event-type", string(cfjs.ViewerRequest), "viewer-request or viewer-response")
	cmd.Flags().IntVar(&show, "show", 10, "how many changed responses and failures to show")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file == "" {
			return usagef(cmd, "--function names no file")
		}
		if kind != string(cfjs.ViewerRequest) && kind != string(cfjs.ViewerResponse) {
			return usagef(cmd, "--event-type %s is not one of viewer-request, viewer-response", kind)
		}
		function, err := local.open(cmd, file)
		if err != nil {
			return err
		}
		defer function.close()
		log, size, err := a.openLog(args[0])
		if err != nil {
			return err
		}
		defer log.Close()
		r := &replay{function: function, kind: cfjs.EventType(kind), report: newReplayReport(show)}
		bar := &progressBar{w: a.stderr, on: isTerminal(a.stderr), total: size}
		err = r.run(cmd.Context(), bar.watch(log))
		bar.clear()
		if err != nil {
			return during(err, "replay %s", args[0])
		}
		if err := r.report.print(out); err != nil {
			return err
		}
		if r.report.Failed > 0 {
			return errFunctionFailed
		}
		return nil
	}
	return cmd
}

// openLog opens an access log; the size is 0 if it is not known.
func (a *app) openLog(name string) (log io.ReadCloser, size int64, err error) {
	if name == "-" {
		return io.NopCloser(a.stdin), 0, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// A replay runs a function over a log.
type replay struct {
	function *localFunction
	kind     cfjs.EventType
	report   *replayReport
}

// replayBatch is how many requests are read before they are run side by side.
const replayBatch = 256

// run reads the log to its end. What is reported does not depend on the order
// in which runs end.
func (r *replay) run(ctx context.Context, log io.Reader) error {
	lines, err := newLogReader(log)
	if err != nil {
		return err
	}
	var entries []logEntry
	for err == nil {
		var e logEntry
		e, err = lines.next()
		switch {
		case err != nil:
		case r.kind == cfjs.ViewerResponse && e.status >= 400:
			r.report.NotInvoked++ // documented: not for the origin's errors
		default:
			entries = append(entries, e)
		}
		if len(entries) == replayBatch || err != nil {
			if err := r.batch(ctx, entries); err != nil {
				return err
			}
			entries = entries[:0]
		}
	}
	r.report.Skipped = lines.skipped
	if err != io.EOF {
		return err
	}
	if r.report.Requests+r.report.NotInvoked == 0 {
		return errors.New("there is no request in it: is it an access log?")
	}
	return nil
}

func (r *replay) batch(ctx context.Context, entries []logEntry) error {
	results := make([]cfjs.Result, len(entries))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, e := range entries {
		group.Go(func() (err error) {
			if gctx.Err() != nil {
				return context.Cause(gctx)
			}
			results[i], err = r.function.runner.Run(gctx, r.function.call(e.event(r.kind)))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, e := range entries {
		r.report.add(e, r.kind, results[i])
	}
	return nil
}

// A progressBar shows on a terminal how much of a file has been read.
type progressBar struct {
	w     io.Writer
	on    bool
	total int64 // bytes; 0 is not known
	read  int64
	last  time.Time
}

const barWidth = 30

// watch returns a reader that moves the bar.
func (p *progressBar) watch(r io.Reader) io.Reader { return &watchedReader{r, p} }

type watchedReader struct {
	r   io.Reader
	bar *progressBar
}

// Read implements [io.Reader].
func (w *watchedReader) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	w.bar.read += int64(n)
	w.bar.draw()
	return n, err
}

// draw draws the bar, not more than ten times a second.
func (p *progressBar) draw() {
	if !p.on || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	io.WriteString(p.w, "\r"+p.text())
}

func (p *progressBar) clear() {
	if p.on {
		io.WriteString(p.w, "\r\x1b[K")
	}
}

// text is the bar: [=====     ]  50 %
func (p *progressBar) text() string {
	if p.total <= 0 {
		return strconv.FormatInt(p.read>>10, 10) + " KiB"
	}
	share := float64(min(p.read, p.total)) / float64(p.total)
	filled := int(share * barWidth)
	return fmt.Sprintf("[%s%s] %3d %%", strings.Repeat("=", filled), strings.Repeat(" ", barWidth-filled), int(share*100))
}
