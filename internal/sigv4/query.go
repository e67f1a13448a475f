package sigv4

import (
	"cmp"
	"slices"
	"strings"
)

// A Param is one decoded name and value of a query string.
type Param struct {
	Name, Value string
}

// ParseQuery decodes a raw query string exactly as the signature covers it: a
// plus sign is a plus sign, never a space, and empty parts are skipped. A
// server must read parameters with it, or else it might act on something other
// than what was verified. ok is false for a bad percent escape.
func ParseQuery(raw string) (params []Param, ok bool) {
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, ok1 := unescape(name)
		value, ok2 := unescape(value)
		if !ok1 || !ok2 {
			return nil, false
		}
		params = append(params, Param{name, value})
	}
	return params, true
}

func unescape(s string) (string, bool) {
	if !strings.Contains(s, "%") {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			out = append(out, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		high, ok1 := fromHex(s[i+1])
		low, ok2 := fromHex(s[i+2])
		if !ok1 || !ok2 {
			return "", false
		}
		out = append(out, high<<4|low)
		i += 2
	}
	return string(out), true
}

func fromHex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// appendCanonicalQuery appends the parameters encoded anew and sorted by
// encoded name, then encoded value, without those named skip. The query must
// have passed [ParseQuery].
func appendCanonicalQuery(dst []byte, raw, skip string) []byte {
	if raw == "" {
		return dst
	}
	params, _ := ParseQuery(raw)
	params = slices.DeleteFunc(params, func(p Param) bool { return skip != "" && p.Name == skip })
	for i, p := range params {
		params[i] = Param{escape(p.Name), escape(p.Value)}
	}
	slices.SortFunc(params, func(a, b Param) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
	})
	for i, p := range params {
		if i > 0 {
			dst = append(dst, '&')
		}
		dst = append(dst, p.Name...)
		dst = append(dst, '=')
		dst = append(dst, p.Value...)
	}
	return dst
}

func escape(s string) string {
	for i := range len(s) {
		if !unreserved(s[i]) {
			out := make([]byte, 0, len(s)+8)
			for j := range len(s) {
				out = appendEscaped(out, s[j])
			}
			return string(out)
		}
	}
	return s
}
