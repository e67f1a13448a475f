package controlplane

import (
	"context"
	"errors"
	"strings"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// A FunctionQuery is the input of ListFunctions.
type FunctionQuery struct {
	Marker   string // of the page before; empty: from the start
	MaxItems int    // at least 1; more than MaxItems is taken for MaxItems
	Stage    Stage  // only that stage; empty: each function's, DEVELOPMENT first
}

// A FunctionPage is one page of stages of functions, by name in byte order.
type FunctionPage struct {
	Functions []Function
	MaxItems  int    // as applied
	Next      string // marker of the next page; empty on the last
}

// ListFunctions returns a page of the account's functions, one entry for each
// stage that they have. A marker is name and stage of the last entry of the
// page before, which need not exist any more.
//
// Source: CloudFront ListFunctions (documented); an entry for each stage, order,
// marker and the limits are assumed (divergence 16).
func (s *Service) ListFunctions(ctx context.Context, account string, q FunctionQuery) (FunctionPage, error) {
	if q.MaxItems < 1 {
		return FunctionPage{}, popkv.Errorf(popkv.Invalid, "MaxItems is not a positive number")
	}
	after, last, _ := strings.Cut(q.Marker, "/")
	stages := []Stage{Development, Live}
	if q.Stage != "" {
		stages = []Stage{q.Stage}
	}
	prefix := journal.FunctionPrefix(account)
	from, end := prefix+after, journal.PrefixEnd(prefix)
	var page FunctionPage
	err := s.j.Catalog(ctx, func(tx *journal.Tx) error {
		page = FunctionPage{MaxItems: min(q.MaxItems, MaxItems)}
		if from >= end {
			return nil
		}
		return tx.Scan(from, end, 0, func(key string, value []byte) error {
			name := key[len(prefix):]
			f, _, err := decode[function](key, value)
			if err != nil {
				return err
			}
			for _, stage := range stages {
				// DEVELOPMENT sorts before LIVE.
				if f.at(stage) == nil || name == after && q.Marker != "" && (last == "" || string(stage) <= last) {
					continue
				}
				if len(page.Functions) == page.MaxItems {
					entry := page.Functions[len(page.Functions)-1]
					page.Next = entry.Name + "/" + string(entry.Stage)
					return errEnough
				}
				shown, err := s.showFunction(tx, account, name, &f, stage)
				if err != nil {
					return err
				}
				page.Functions = append(page.Functions, shown)
			}
			return nil
		})
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return page, err
}
