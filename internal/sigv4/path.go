package sigv4

import "strings"

const upperHex = "0123456789ABCDEF"

// unreserved are the bytes that percent-encoding leaves alone.
func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

func appendEscaped(dst []byte, c byte) []byte {
	if unreserved(c) {
		return append(dst, c)
	}
	return append(dst, '%', upperHex[c>>4], upperHex[c&15])
}

// appendCanonicalPath appends path percent-encoded once more than it was sent:
// an escape's own % becomes %25. So no two paths share a canonical form.
func appendCanonicalPath(dst []byte, path string) []byte {
	for i := range len(path) {
		if path[i] == '/' {
			dst = append(dst, '/')
		} else {
			dst = appendEscaped(dst, path[i])
		}
	}
	return dst
}

// normalizePath drops empty and "." segments and resolves "..". It works on
// the escaped path, where %2F and %2E are ordinary characters. A slash at the
// end stays only if the path as sent ended in one.
func normalizePath(path string) string {
	var kept []string
	for segment := range strings.SplitSeq(path, "/") {
		switch segment {
		case "", ".":
		case "..":
			kept = kept[:max(len(kept)-1, 0)]
		default:
			kept = append(kept, segment)
		}
	}
	if len(kept) == 0 {
		return "/"
	}
	out := "/" + strings.Join(kept, "/")
	if strings.HasSuffix(path, "/") {
		out += "/"
	}
	return out
}

// checkPath refuses a path that clients and servers could read in two ways:
// one with an empty, "." or ".." segment. Allowed are "/" itself, a trailing
// slash where the configuration says so, and a last segment "." or ".." right
// after dotKeys; for the last twoForms is true, because some clients sign such
// a path as it is and others normalised (observed).
func checkPath(path, dotKeys string, trailingSlash bool) (twoForms bool, err error) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return false, &Error{BadPath, "the path does not begin with a slash"}
	}
	for rest != "" {
		segment, tail, more := strings.Cut(rest, "/")
		switch {
		case segment == "":
			return false, &Error{BadPath, "the path has an empty segment"}
		case segment == "." || segment == "..":
			if more || dotKeys == "" || !strings.HasSuffix(strings.TrimSuffix(path, segment), dotKeys) {
				return false, &Error{BadPath, "the path has a dot segment"}
			}
			return true, nil
		case more && tail == "" && !trailingSlash:
			return false, &Error{BadPath, "the path ends in a slash"}
		}
		rest = tail
	}
	return false, nil
}
