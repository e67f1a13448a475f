package controlplane

import (
	"strings"
	"testing"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

func TestCheck(t *testing.T) {
	id := popkv.NewStoreID()
	k, n, j, f := journal.ControlKey(id), journal.NameKey("123456789012", "s"), journal.ImportJobKey(id), journal.FunctionKey("123456789012", "f")
	ready := control{Account: "123456789012", Name: "s", Status: popkv.Ready}
	waiting, used := ready, ready
	waiting.Status = popkv.Provisioning
	used.Referrers = []referrer{{Function: "f", Live: true}}
	associated := function{Development: code{Runtime: "cloudfront-js-2.0"}, Live: &code{Store: id.String()}}
	for _, c := range []struct {
		name   string
		key    string
		record any
		there  []string
		want   string // part of the problem
	}{
		{"a name of a store", n, named{Store: id.String()}, []string{k}, ""},
		{"a name of nothing", n, named{Store: id.String()}, nil, "leads to no store"},
		{"a name of no id", n, named{Store: "x"}, []string{k}, "leads to no store"},
		{"a ready store", k, ready, []string{n}, ""},
		{"a store whose name is gone", k, ready, nil, "name does not lead"},
		{"a store that waits for its job", k, waiting, []string{n, j}, ""},
		{"a store that waits for nothing", k, waiting, []string{n}, "nothing will end that"},
		{"a store in use", k, used, []string{n, f}, ""},
		{"a store in use by nothing", k, used, []string{n}, "function f refers to it"},
		{"a job", j, job{}, []string{k}, ""},
		{"a job without a store", j, job{}, nil, "for no store"},
		{"a counter", journal.CounterKey("123456789012"), counters{Stores: 1}, nil, ""},
		{"a counter below zero", journal.CounterKey("123456789012"), counters{Stores: -1}, nil, "below zero"},
		{"a function", f, associated, []string{k}, ""},
		{"a function without its store", f, associated, nil, "does not exist"},
		{"a record with an unknown member", k, map[string]int{"new": 1}, []string{n}, "cannot be decoded"},
		{"a record of another package", "a/AKID", "x", nil, ""},
	} {
		exists := func(key string) bool {
			for _, there := range c.there {
				if there == key {
					return true
				}
			}
			return false
		}
		got := Check(c.key, encode(c.record), exists)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
