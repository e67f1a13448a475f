// Package journal keeps stores as logs, and the catalog beside them, on a
// [Driver]. It is the only package that commits: an ETag is compared and
// replaced in one conditional, durable step.
package journal
