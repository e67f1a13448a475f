// Package access answers two questions about a request: who signed it, and may
// they do what it asks.
//
// A [Directory] holds access keys and policies. Both belong to a user of an
// account; a user exists by having one of them, and the user "root" may do
// everything in its account and nothing elsewhere. Policies are put on users,
// not on keys, so that rotating a key keeps them. Everything lives in the
// catalog, and whole in memory: this process makes all the changes, so a key
// that is removed stops working at once.
//
// A [Gate] stands in front of every route: no handler sees a request that has
// not passed [Gate.Admit], and handlers use what it returns, never what came
// beside it.
//
// Secrets are kept encrypted with a data key, which is itself wrapped by a key
// in a file outside the data; a key of which only the public half is stored
// needs neither, and what is on disk then cannot sign anything. The package
// never prints a secret: the type [popkv.Secret] is what it hands out.
//
// It deliberately knows no HTTP status and no AWS error name, issues no tokens
// for other services, and has no groups, roles or resource policies.
package access
