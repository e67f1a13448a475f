// Package snapshot holds the contents of a store: an immutable, ordered,
// in-memory item map, its content digest, and the two byte formats that carry
// it (one record per effective write, and the chunks of a generation).
//
// Readers take a [Snapshot] from an atomic pointer and never lock; applying a
// [Change] makes the next one by structural sharing, and no copy of a store is
// made to change one key. Origins and followers use this same package.
//
// It does no I/O, starts no goroutine and reads no clock. It enforces no quota
// and compares no ETag: it is told what to change. Which record may follow
// which is the journal's business; here is only what the bytes mean.
package snapshot
