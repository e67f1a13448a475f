// Package kvsapi is the data plane's wire: the rest-json protocol of Amazon
// CloudFront KeyValueStore (API version 2022-07-26). It routes requests,
// reads them, and writes what internal/dataplane answers.
//
// A request goes through verification and authorisation (a [Gate]), then
// through the reading of headers, query and body, and only then to the rules.
// Routes match the raw escaped path that was signed: no path is ever cleaned,
// decoded as a whole or redirected, so keys such as `.`, `..`, `/` and `a//b`
// stay what they are.
//
// It holds no rule of the store and keeps no state. It is one of the two
// packages that know HTTP status codes and AWS's error names.
package kvsapi
