// Package journal keeps stores as logs, and the catalog beside them, on a
// [Driver]. It is the only package that commits: an ETag is compared and
// replaced in one conditional, durable step.
//
// A store is a meta record, a log of one record per effective write, and the
// snapshot generations that loads and history start from. meta's revision
// guards every write of the store; the gate's guards every write of all. The
// catalog (names, functions, access keys, policies) is small records whose
// meaning is their owners', changed by optimistic transactions that guard all
// they read.
//
//	keys, envelope, fields, meta, gate   what is stored, and how it is laid out
//	open, housekeeping, stats            the journal and its one goroutine
//	store, memory, load, read            a store in memory, and how it gets there
//	commit, resolve                      one write, and its outcome when an answer is lost
//	catalog, tx                          transactions of the control plane
//	generation, fold, sweep              bulk content, the log's end, what nothing names
//	verify, walk                         everything counted anew
//	frames, backup, restore              all of it as one stream, and back
//
// What it deliberately does not do: it enforces no quota, knows no ETag
// strings and no names, and never reads an item's value. One process at a time
// uses a driver: reads are answered from memory without asking the driver
// whether another process has written since.
package journal
