package server

import (
	"cmp"
	"context"
	"errors"

	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/controlplane"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/pebblejournal"
)

// CheckRecord judges a catalog record by the rules of the package that owns
// it; see [journal.VerifyOptions].
func CheckRecord(key string, value []byte, exists func(key string) bool) (problem string) {
	return cmp.Or(controlplane.Check(key, value, exists), access.Check(key, value, exists))
}

// An engine can check its own files while it is in use.
type engine interface {
	Check(ctx context.Context) (pebblejournal.Report, error)
}

// storage is the journal with its engine, as the management API verifies it:
// first the engine's files, then what the journal keeps in them.
type storage struct {
	*journal.Journal
	driver journal.Driver
}

// Verify is [journal.Journal.Verify] after the engine's own check. Damage that
// the engine finds is a finding like any other; whatever else keeps it from
// checking itself, such as a full disk, is an error.
func (s storage) Verify(ctx context.Context, o journal.VerifyOptions) (journal.Report, error) {
	var damage error
	if e, ok := s.driver.(engine); ok {
		if _, damage = e.Check(ctx); damage != nil && !errors.Is(damage, pebblejournal.ErrDamaged) {
			return journal.Report{}, damage
		}
	}
	report, err := s.Journal.Verify(ctx, o)
	if damage != nil {
		report.Findings = append(report.Findings, journal.Finding{Record: "engine", Problem: damage.Error()})
	}
	return report, err
}
