package cfworker

import (
	"testing"

	"github.com/popkv/popkv/internal/cfjs"
)

// typical rewrites headers and reads one key: what the performance targets are
// stated for.
const typical = `
import cf from 'cloudfront';
const kvs = cf.kvs();
async function handler(event) {
  const request = event.request;
  request.headers['x-a'] = {value: 'a'};
  request.headers['x-b'] = {value: 'b'};
  request.headers['x-target'] = {value: await kvs.get('key')};
  return request;
}`

func typicalCall() Call {
	field := func(name, value string) cfjs.Field { return cfjs.Field{Name: name, Value: cfjs.Value{Text: value}} }
	raw := "a=1&b=2"
	return Call{
		Program: NewProgram([]byte(typical), cfjs.Runtime20),
		Store:   &cfjs.MapStore{Items: map[string]string{"key": "value"}},
		Event: &cfjs.Event{
			Version: "1.0", ViewerIP: "192.0.2.1",
			Context: cfjs.Context{DistributionDomainName: "d.cloudfront.net", DistributionID: "E1", EventType: cfjs.ViewerRequest, RequestID: "r1"},
			Request: cfjs.Request{
				Method: "GET", URI: "/index.html", RawQuery: &raw,
				Query:   cfjs.Fields{field("a", "1"), field("b", "2")},
				Cookies: cfjs.Fields{field("session", "s"), field("theme", "dark")},
				Headers: cfjs.Fields{
					field("host", "example.org"), field("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"), field("accept", "*/*"),
					field("accept-encoding", "gzip"), field("accept-language", "en"), field("referer", "https://example.org/"),
					field("cache-control", "no-cache"), field("dnt", "1"),
				},
			},
		},
	}
}

// BenchmarkStart measures what a killed worker costs.
func BenchmarkStart(b *testing.B) {
	o := Options{}.withDefaults()
	s := newStarter()
	defer s.close()
	var cpu float64
	for b.Loop() {
		p, err := newProcess(&o)
		if err != nil {
			b.Fatal(err)
		}
		s.do(func() { err = p.start() })
		if err != nil {
			b.Fatal(err)
		}
		if err := p.setUp(); err != nil {
			b.Fatal(err)
		}
		p.end()
		cpu += (p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()).Seconds() * 1000
	}
	b.ReportMetric(cpu/float64(b.N), "cpu-ms/op")
}
