package sigv4

import "strings"

// A Request is what was on the wire. Nothing in it is decoded or cleaned.
type Request struct {
	Method  string
	Target  string              // second word of the request line
	Host    string              // the Host header or :authority
	Header  map[string][]string // canonical names as net/http has them, without Host
	Chunked bool                // a Transfer-Encoding was given
}

// onlyOnce are the headers that must not be given twice (rule 1).
func onlyOnce() [6]string {
	return [6]string{"Authorization", "X-Amz-Date", "X-Amz-Region-Set", "X-Amz-Security-Token", "X-Amz-Content-Sha256", "Content-Length"}
}

// checkFraming keeps rule 1 for everything but the target.
func checkFraming(r *Request) error {
	if r.Chunked || len(r.Header["Transfer-Encoding"]) > 0 {
		return bad("a chunked body is not accepted: send Content-Length")
	}
	if r.Method == "" || r.Method == "CONNECT" {
		return bad("this method is not accepted")
	}
	if len(r.Header["Host"]) > 0 {
		return bad("more than one Host header")
	}
	for _, name := range onlyOnce() {
		if len(r.Header[name]) > 1 {
			return bad("more than one " + name + " header")
		}
	}
	return nil
}

// A target is a request target taken apart, still escaped.
type target struct {
	host  string // that must have been signed
	path  string // begins with a slash
	query string
}

// splitTarget reads an origin-form target, or an absolute-form one whose
// authority ownName accepts; that authority then replaces the Host header.
func splitTarget(r *Request, ownName func(authority string) bool) (target, error) {
	raw, host := r.Target, r.Host
	if !strings.HasPrefix(raw, "/") {
		authority, rest, ok := cutAuthority(raw)
		if !ok {
			return target{}, bad("the request target is neither a path nor a URL")
		}
		if ownName == nil || !ownName(authority) {
			return target{}, bad("the request target names another host: this is no proxy")
		}
		raw, host = rest, authority
	}
	if host == "" {
		return target{}, bad("no Host header")
	}
	path, query, _ := strings.Cut(raw, "?")
	if path == "" {
		path = "/"
	}
	return target{host: host, path: path, query: query}, nil
}

func cutAuthority(url string) (authority, rest string, ok bool) {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", "", false
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, rest = rest[:end], rest[end:]
	if authority == "" || strings.Contains(authority, "@") || strings.HasPrefix(rest, "#") {
		return "", "", false
	}
	return authority, rest, true
}

// values returns the values of a header whose lower-case name is given.
func (r *Request) values(lower string) []string {
	var stack [64]byte
	key := append(stack[:0], lower...)
	start := true
	for i, c := range key {
		if start && 'a' <= c && c <= 'z' {
			key[i] = c - 'a' + 'A'
		}
		start = c == '-'
	}
	return r.Header[string(key)]
}

// value returns the only value of a header named in canonical form, or "".
func (r *Request) value(canonical string) string {
	if values := r.Header[canonical]; len(values) > 0 {
		return trimBlanks(values[0])
	}
	return ""
}

func trimBlanks(s string) string { return strings.Trim(s, " \t") }
