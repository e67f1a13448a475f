package controlplane

import (
	"context"
	"errors"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// MaxItems is the default and the maximum of a list's page (divergence 16).
const MaxItems = 100

// A StoreQuery is the input of List.
type StoreQuery struct {
	Marker   string // of the page before; empty: from the start
	MaxItems int    // at least 1; more than MaxItems is taken for MaxItems
	Status   string // only stores of exactly that status; empty: all
}

// A StorePage is one page of stores, by name in byte order.
type StorePage struct {
	Stores   []Store
	MaxItems int    // as applied
	Next     string // marker of the next page; empty on the last
}

// List returns a page of the account's stores. A marker is the name of the
// last store of the page before; the store need not exist any more.
//
// Source: CloudFront ListKeyValueStores (documented); order, marker and the
// limits are assumed (divergence 16).
func (s *Service) List(ctx context.Context, account string, q StoreQuery) (StorePage, error) {
	if q.MaxItems < 1 {
		return StorePage{}, popkv.Errorf(popkv.Invalid, "MaxItems is not a positive number")
	}
	prefix := journal.NamePrefix(account)
	from, end := prefix, journal.PrefixEnd(prefix)
	if q.Marker != "" {
		from = prefix + q.Marker + "\x00"
	}
	var page StorePage
	err := s.j.Catalog(ctx, func(tx *journal.Tx) error {
		page = StorePage{MaxItems: min(q.MaxItems, MaxItems)}
		if from >= end {
			return nil
		}
		return tx.Scan(from, end, 0, func(key string, _ []byte) error {
			id, c, err := storeByName(tx, account, key[len(prefix):])
			if err != nil {
				return err
			}
			if c == nil || q.Status != "" && string(c.Status) != q.Status {
				return nil
			}
			if len(page.Stores) == page.MaxItems {
				page.Next = page.Stores[len(page.Stores)-1].Name
				return errEnough
			}
			page.Stores = append(page.Stores, c.show(id))
			return nil
		})
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return page, err
}

// errEnough ends a scan, and the transaction that only reads.
var errEnough = errors.New("the page is full")
