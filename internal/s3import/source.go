package s3import

import (
	"context"
	"io"
)

// A Source is where documents are.
type Source interface {
	// Open returns the document at l and its size in bytes, -1 if that is not
	// told beforehand. The reading ends with ctx. Every error is a [*Failure]
	// whose reason is Unreadable, whatever the cause: a missing object, a
	// refusal and a broken connection are not told apart to the client.
	Open(ctx context.Context, l Location) (io.ReadCloser, int64, error)

	// Size returns the document's size in bytes where it is known at once and
	// without asking anyone; ok is false otherwise, for a missing document too.
	Size(l Location) (size int64, ok bool)
}
