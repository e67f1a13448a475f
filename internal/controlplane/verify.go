package controlplane

import (
	"fmt"
	"strings"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// Check judges one catalog record for a verify: whether it can be decoded, and
// whether what it names is there. exists looks a key up in the same view. The
// problem is in words; "" is none, also for records of other packages.
func Check(key string, value []byte, exists func(key string) bool) (problem string) {
	kind, rest, _ := strings.Cut(key, "/")
	switch kind {
	case "n":
		return checkRecord(key, value, func(n named) string {
			id, ok := popkv.ParseStoreID(n.Store)
			if !ok || !exists(journal.ControlKey(id)) {
				return "the name leads to no store"
			}
			return ""
		})
	case "k":
		return checkRecord(key, value, func(c control) string { return c.check(rest, exists) })
	case "q":
		return checkRecord(key, value, func(c counters) string {
			if c.Stores < 0 || c.Functions < 0 {
				return "a counter is below zero"
			}
			return ""
		})
	case "j":
		return checkRecord(key, value, func(job) string {
			id, ok := popkv.ParseStoreID(rest)
			if !ok || !exists(journal.ControlKey(id)) {
				return "the job is for no store"
			}
			return ""
		})
	case "f":
		return checkRecord(key, value, func(f function) string { return f.check(exists) })
	}
	return ""
}

// checkRecord decodes a record and hands it to check.
func checkRecord[T any](key string, value []byte, check func(record T) string) string {
	record, _, err := decode[T](key, value)
	if err != nil {
		return "it cannot be decoded"
	}
	return check(record)
}

// check compares a store's control record with what it names.
func (c *control) check(id string, exists func(key string) bool) string {
	if !exists(journal.NameKey(c.Account, c.Name)) {
		return "the store's name does not lead to it"
	}
	store, ok := popkv.ParseStoreID(id)
	if !ok {
		return "its key holds no store id"
	}
	if c.Status == popkv.Provisioning && !exists(journal.ImportJobKey(store)) {
		return "the store is PROVISIONING and nothing will end that"
	}
	for _, r := range c.Referrers {
		if !exists(journal.FunctionKey(c.Account, r.Function)) {
			return fmt.Sprintf("function %s refers to it and does not exist", r.Function)
		}
	}
	return ""
}

// check looks for the stores that a function's stages are associated with.
func (f *function) check(exists func(key string) bool) string {
	stages := []*code{&f.Development}
	if f.Live != nil {
		stages = append(stages, f.Live)
	}
	for _, stage := range stages {
		if stage.Store == "" {
			continue
		}
		if id, ok := popkv.ParseStoreID(stage.Store); !ok || !exists(journal.ControlKey(id)) {
			return "the function is associated with a store that does not exist"
		}
	}
	return ""
}
