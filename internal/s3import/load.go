package s3import

import (
	"context"
	"errors"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/snapshot"
)

// progressBytes is how much is read between two reports of progress.
const progressBytes = 256 << 10

// Load reads the document at l, validates it whole and builds the snapshot of
// a store with its items, whose digests use key. It returns either everything
// or a [*Failure]; the reading ends with ctx. progress is called now and then
// and once at the end, from the goroutine of the caller.
func Load(ctx context.Context, source Source, l Location, key snapshot.DigestKey, limits popkv.Limits, progress func(Stats)) (*snapshot.Snapshot, error) {
	document, size, err := source.Open(ctx, l)
	if err != nil {
		return nil, err
	}
	defer document.Close()
	if size > limits.ImportBytes {
		return nil, fail(TooLarge, -1, nil)
	}
	builder := snapshot.NewBuilder(key)
	var reported int64
	reader := newDocument(document, limits, builder.Add)
	reader.in.progress = func(read int64) {
		if read-reported >= progressBytes {
			reported = read
			progress(reader.stats())
		}
	}
	stats, err := reader.run()
	progress(stats)
	if err != nil {
		return nil, err
	}
	built, err := builder.Finish()
	if errors.Is(err, snapshot.ErrDuplicateKey) {
		return nil, fail(DuplicateKeys, -1, nil)
	}
	return built, err
}
