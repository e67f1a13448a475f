// Package dataplane holds the rules of the six item operations:
// DescribeKeyValueStore, GetKey, ListKeys, PutKey, DeleteKey and UpdateKeys.
//
// A call goes through these checks, and the first that fails answers: the
// model's constraints on what was sent, the store's existence, its status,
// the quotas of each item and of the batch, If-Match, and the size of the
// store after the change (assumed, divergence 13). Everything from the store
// lookup on runs while the store's writer turn is held, so an ETag is
// compared and replaced in one step.
//
// It knows nothing of HTTP, of AWS's error names, of signatures or of
// policies: internal/kvsapi verifies and authorises first.
package dataplane
