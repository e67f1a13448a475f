// Package controlplane holds the rules of stores, their tags and their
// imports: what may be created, changed and deleted, under which ETag, and how
// a store gets from PROVISIONING to READY or IMPORT_FAILURE.
//
// Its records are JSON in the journal's catalog, and every operation is one
// catalog transaction. It knows neither HTTP nor XML, nor who may do what:
// callers authorise a [Target] before they act on it.
package controlplane
