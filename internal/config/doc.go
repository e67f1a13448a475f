// Package config holds every setting of popkv once: its key, type, default,
// and what it does.
//
// A setting has one key, written as in the file: `s3.endpoint`. Its
// environment variable is POPKV_S3_ENDPOINT and its flag --s3-endpoint; both
// follow from the key. Flags win over the environment, the environment over
// the file, the file over the default. The guide page
// docs/guide/configuration.md is generated from the same table.
//
// The package reads nothing by itself but the files that a setting names, and
// starts nothing: what a value means is the business of the package that uses
// it.
package config
