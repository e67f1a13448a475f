package sigv4

import "strings"

// appendHeaderValue appends the canonical value of a header: each value
// trimmed, inner runs of blanks made one space, several joined by commas in
// the order received.
func appendHeaderValue(dst []byte, values []string) []byte {
	for i, value := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		value = trimBlanks(value)
		blank := false
		for j := range len(value) {
			c := value[j]
			if c == ' ' || c == '\t' {
				blank = true
				continue
			}
			if blank {
				dst = append(dst, ' ')
				blank = false
			}
			dst = append(dst, c)
		}
	}
	return dst
}

// checkSignedList refuses a SignedHeaders list that is not lower case, sorted
// and unique (rule 5, first half).
func checkSignedList(list string) error {
	last := ""
	for name := range strings.SplitSeq(list, ";") {
		for i := range len(name) {
			c := name[i]
			if c <= ' ' || c >= 0x7f || 'A' <= c && c <= 'Z' || strings.IndexByte(`"(),/:<=>?@[\]{}`, c) >= 0 {
				return bad("SignedHeaders holds something that is no header name in lower case")
			}
		}
		if name <= last {
			return bad("SignedHeaders is not sorted, or names a header twice")
		}
		last = name
	}
	return nil
}

// checkCoverage refuses a list that leaves out a header which must be signed,
// or names one that is not there (rule 5, second half). In query form date and
// region set are parameters, which are always signed.
func checkCoverage(c *Claim) error {
	if !listHas(c.signedHeaders, "host") {
		return bad("the Host header is not signed")
	}
	if !c.inQuery && !listHas(c.signedHeaders, "x-amz-date") {
		return bad("the X-Amz-Date header is not signed")
	}
	if !c.inQuery && c.Algorithm == SigV4A && !listHas(c.signedHeaders, "x-amz-region-set") {
		return bad("the X-Amz-Region-Set header is not signed")
	}
	for name := range c.request.Header {
		if len(name) >= 6 && strings.EqualFold(name[:6], "x-amz-") && !listHas(c.signedHeaders, name) {
			return bad("an x-amz-* header is not signed")
		}
	}
	for name := range strings.SplitSeq(c.signedHeaders, ";") {
		if name != "host" && len(c.request.values(name)) == 0 {
			return bad("a header named in SignedHeaders is missing: a proxy may have removed it")
		}
	}
	return nil
}

func listHas(list, name string) bool {
	for entry := range strings.SplitSeq(list, ";") {
		if strings.EqualFold(entry, name) {
			return true
		}
	}
	return false
}
