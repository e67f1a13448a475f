// Package cli is the popkv command: `popkv NOUN VERB`.
//
// Results go to stdout, everything else to stderr. The commands for stores and
// keys speak the two AWS APIs through the AWS SDK and so work against popkv
// and the real service alike; the commands for access keys, policies,
// verification and backups speak popkv's management API, or open a data
// directory that no server has open. The package holds no rules of the
// service: it only asks and prints.
package cli
