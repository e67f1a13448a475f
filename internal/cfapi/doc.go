// Package cfapi is the control plane's wire: the rest-xml protocol of Amazon
// CloudFront, version 2020-05-31, for key value stores, functions and tags,
// and the one operation of AWS STS that clients call first,
// GetCallerIdentity.
//
// It routes on the path as it was sent and signed, reads and writes XML, asks
// who signed and whether they may, and turns [popkv.Kind] into HTTP statuses
// and AWS error names. The rules themselves are internal/controlplane's.
package cfapi
