// Package popkv is the vocabulary of popkv, a self-hosted, wire-compatible
// Amazon CloudFront KeyValueStore: ids, ARNs, items, ETags, limits and the
// kinds of failure.
//
// It is pure: no I/O, no clock, no goroutine, and it imports nothing of ours.
// Every other package may import it. HTTP status codes and AWS error names are
// deliberately absent: internal/kvsapi and internal/cfapi each turn a [Kind]
// into the name their own wire uses.
package popkv
