package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/snapshot"
)

const (
	account   = "123456789012"
	principal = "arn:aws:iam::" + account + ":root"
)

// Stores of the largest size, as a document of many small pairs and as one of
// few large pairs fills them.
const (
	fullBytes  = 5 << 20
	smallPairs = 58_909
	largePairs = 5_693
)

// item is the i-th of a store. A pair has pairBytes; its key looks like the
// ones that people use.
func item(i, pairBytes int) popkv.Item {
	key := fmt.Sprintf("redirect/%c/%09d", 'a'+i%8, i)
	return popkv.Item{Key: key, Value: value(i, pairBytes-len(key))}
}

// value is text of that length that n tells from others.
func value(n, length int) string {
	text := fmt.Sprintf("/%0*d", length-1, n)
	return text[len(text)-length:]
}

// usualPair is the size of a pair in bytes: a short path to a short path.
const usualPair = 46

// fill makes stores of equal size and returns their ids. It is done many
// stores at a time.
func fill(ctx context.Context, j *journal.Journal, stores, pairs, pairBytes int) ([]popkv.StoreID, error) {
	items := make([]popkv.Item, pairs)
	for i := range items {
		items[i] = item(i, pairBytes)
	}
	ids := make([]popkv.StoreID, stores)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(min(64, 1+(64<<20)/(1+pairs*pairBytes))) // what they hold in memory meanwhile
	for i := range ids {
		group.Go(func() (err error) {
			ids[i], err = newStore(ctx, j, items)
			return err
		})
	}
	return ids, group.Wait()
}

// newStore makes one store of the items.
func newStore(ctx context.Context, j *journal.Journal, items []popkv.Item) (id popkv.StoreID, err error) {
	err = j.Catalog(ctx, func(tx *journal.Tx) error {
		id = j.NewStore(tx, account, popkv.Provisioning)
		return nil
	})
	if err != nil {
		return id, err
	}
	meta, err := j.Meta(ctx, id)
	if err != nil {
		return id, err
	}
	content, err := snapshot.Build(meta.DigestKey, slices.Clone(items))
	if err != nil {
		return id, err
	}
	return id, j.Import(ctx, id, principal, content, nil)
}

// document is what an import reads to make a store of the items.
func document(pairs, pairBytes int) []byte {
	var b strings.Builder
	b.WriteString(`{"data":[`)
	for i := range pairs {
		if i > 0 {
			b.WriteString(",")
		}
		pair := item(i, pairBytes)
		fmt.Fprintf(&b, `{"key":%q,"value":%q}`, pair.Key, pair.Value)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}
