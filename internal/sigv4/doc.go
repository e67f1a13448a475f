// Package sigv4 makes and verifies AWS Signature Version 4 in its two kinds:
// SigV4 (HMAC-SHA256 with a key derived from the secret) and SigV4A (ECDSA on
// P-256 with a key pair derived from the secret), with the signature in the
// Authorization header or in the query string.
//
// It is pure: no I/O, no state except the small cache inside a [Key]. It
// deliberately does not know who owns a key, what the caller may do, or how a
// body is read; internal/access does.
//
// A server keeps one [Verifier] per endpoint and calls it in two phases.
// [Verifier.Check] does all that needs neither secret nor body: framing,
// syntax, scope, clock, header rules, path. [Verifier.Verify] takes the body's
// hash and does the cryptography. Between the two the caller looks the key up
// and reads the body, so that a request that cannot succeed costs neither.
//
// Ten rules are kept; each comment "rule n" marks the place:
//
//  1. One of each header that matters, a known framing, a known target form.
//  2. One place decides where the credentials are; any found elsewhere are an
//     error.
//  3. The algorithms are fixed by configuration, never by the request; a key
//     held as a public key never takes part in HMAC.
//  4. The scope has the right number of parts, the day of X-Amz-Date, this
//     endpoint's service and the terminator.
//  5. SignedHeaders is sorted, unique, and covers Host, the date, the region
//     set and every x-amz-* header.
//  6. The date parses strictly and is within five minutes of the clock.
//  7. The body's hash is computed here; a hash in a header must equal it.
//  8. A temporary key needs its own token, a long-term key takes none; expiry
//     is checked on each use.
//  9. The region set of SigV4A covers this server's region.
//  10. An unknown key and a bad signature cost the same and look the same.
//
// Canonical form: AWS Signature Version 4 documentation and the AWS signing
// suites (documented); the double encoding of the path and the two forms of
// the keys "." and ".." as recorded from AWS clients (observed).
package sigv4
