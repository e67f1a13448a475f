package access

import (
	"net"
	"net/netip"
	"strings"

	"github.com/popkv/popkv"
)

// names are the host names of this server, in lower case.
type names map[string]bool

func newNames(list []string) names {
	n := names{"localhost": true}
	for _, name := range list {
		if host := hostOf(name); host != "" {
			n[host] = true
		}
	}
	return n
}

// own reports whether an authority is one of ours: a name, with or without an
// account's label in front, or a loopback address; any port.
func (n names) own(authority string) bool {
	host := hostOf(authority)
	if label := labelOf(host); label != "" {
		host = host[len(label)+1:]
	}
	if address, err := netip.ParseAddr(host); err == nil && address.IsLoopback() {
		return true
	}
	return n[host]
}

// hostOf returns an authority's host without port and brackets, in lower case.
func hostOf(authority string) string {
	host := authority
	if h, port, err := net.SplitHostPort(authority); err == nil && isPort(port) {
		host = h
	} else if strings.HasPrefix(host, "[") {
		host = strings.TrimSuffix(host[1:], "]")
	}
	return strings.ToLower(host)
}

func isPort(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return len(s) <= 5
}

// labelOf returns the account label in front of a host: the SDKs put it there
// before any custom endpoint (observed).
func labelOf(host string) string {
	label, _, ok := strings.Cut(host, ".")
	if !ok || !popkv.IsAccount(label) {
		return ""
	}
	return label
}
