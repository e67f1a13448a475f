package snapshot

import "errors"

// What a decoder says of bytes that it refuses. Both mean that stored or
// received bytes cannot be used; neither is a caller's mistake.
var (
	// ErrDamaged: the bytes are not what was written.
	ErrDamaged = errors.New("the bytes are damaged")
	// ErrFormat: the bytes are whole, but of a format or kind that this
	// version of popkv does not know.
	ErrFormat = errors.New("written by a newer version of popkv")
	// ErrDuplicateKey is the cause when items given to [Build] or a [Builder]
	// name a key twice.
	ErrDuplicateKey = errors.New("a key appears twice")
)
