package bench

import (
	"testing"
	"time"

	"github.com/popkv/popkv/internal/cfjs"
	"github.com/popkv/popkv/internal/cfworker"
)

// headerRewrite is the function that the targets are stated for: it sets
// headers, one of them to the value of a key.
const headerRewrite = `
import cf from 'cloudfront';
const kvs = cf.kvs();
async function handler(event) {
    const headers = event.request.headers;
    headers['x-first'] = {value: 'one'};
    headers['x-second'] = {value: event.request.uri};
    headers['x-third'] = {value: await kvs.get('key')};
    return event.request;
}`

const headerRewriteEvent = `{"version":"1.0","context":{"distributionDomainName":"d111111abcdef8.cloudfront.net",
"distributionId":"EDFDVBD6EXAMPLE","eventType":"viewer-request","requestId":"4TyzHTaYWb1GX1qTfsHhEqV6HUDd_BzoBZnwfnvQc_1oF26ClkoUSEQ=="},
"viewer":{"ip":"198.51.100.11"},"request":{"method":"GET","uri":"/index.html","querystring":{"a":{"value":"1"},"b":{"value":"2"}},
"headers":{"host":{"value":"example.com"},"user-agent":{"value":"Mozilla/5.0 (X11; Linux x86_64)"},"accept":{"value":"text/html,*/*"},
"accept-language":{"value":"en,de;q=0.7"},"accept-encoding":{"value":"gzip, br"},"referer":{"value":"https://example.com/"},
"x-one":{"value":"1"},"x-two":{"value":"2"}},"cookies":{"id":{"value":"CookieIdValue"},"lang":{"value":"en"}}}}`

// BenchmarkFunctionWorker holds a function in a worker process against the same
// in this process: time on the clock of one call after the other.
func BenchmarkFunctionWorker(b *testing.B) {
	event, err := cfjs.ParseEvent([]byte(headerRewriteEvent))
	if err != nil {
		b.Fatal(err)
	}
	call := cfworker.Call{
		Program: cfworker.NewProgram([]byte(headerRewrite), cfjs.Runtime20),
		Event:   &event,
		Store:   &cfjs.MapStore{Items: map[string]string{"key": "value"}},
	}
	inProcess, pool := cfworker.InProcess(cfworker.Options{}), cfworker.NewPool(cfworker.Options{})
	defer inProcess.Close()
	defer pool.Close()
	micros := func(r cfworker.Runner) func() float64 {
		const calls = 2000
		return func() float64 {
			began := time.Now()
			for range calls {
				if result, err := r.Run(b.Context(), call); err != nil || result.Failure != cfjs.NoFailure {
					b.Fatal(result.ErrorMessage, err)
				}
			}
			return float64(time.Since(began).Microseconds()) / calls
		}
	}
	comparison{
		unit:     "us",
		floor:    micros(inProcess),
		subjects: []subject{{name: "worker", target: "≤2.5", run: micros(pool)}},
	}.run(b)
}
