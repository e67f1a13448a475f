// Package admin is everything about a server that AWS has no call for: the
// management API under /popkv/v1/ (access keys, policies, verify, backup),
// which is signed like every other request, and the unauthenticated handler
// of the admin listener (health, metrics, profiles), which belongs on loopback.
package admin
