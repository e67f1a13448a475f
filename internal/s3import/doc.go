// Package s3import reads the document that a store is created from: a JSON
// object {"data":[{"key":"k","value":"v"}]} kept in an S3 bucket, or in a
// folder that stands for S3.
//
// It finds the document ([Source]), validates it while it streams by ([Read])
// and builds the snapshot of the new store ([Load]). It knows nothing of
// stores, of jobs or of the journal: whether, when and on whose behalf a
// document is imported is internal/controlplane's business. It contacts the
// one endpoint it was given and nothing else: no redirect is followed, no
// proxy used, no environment or instance metadata consulted.
package s3import
