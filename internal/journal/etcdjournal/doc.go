// Package etcdjournal is the driver for several machines: it keeps the
// journal's keys in etcd (3.6.9 or newer), one etcd transaction per commit.
//
// All keys lie below [Prefix]. A key's revision is etcd's mod revision. Intents
// live under a lease that this process keeps alive, so they end with it;
// tombstones live under a lease of their own for [TombstoneTTL].
//
// It deliberately does no health management of members, no compaction and no
// defragmentation: those are the operator's.
package etcdjournal
