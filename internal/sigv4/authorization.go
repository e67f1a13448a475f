package sigv4

import (
	"strconv"
	"strings"
	"time"
)

// longestLife is how long a query-form signature may live (documented).
const longestLife = 7 * 24 * time.Hour

// parse finds the credentials in the one place they may be (rule 2) and takes
// them apart. It checks syntax only.
func parse(r *Request, t target, allowQuery bool) (Claim, error) {
	c := Claim{request: r, Host: t.host, Path: t.path, Query: t.query}
	params, ok := ParseQuery(t.query)
	if !ok {
		return Claim{}, bad("the query string has a bad percent escape")
	}
	header, inHeader := r.Header["Authorization"]
	inQuery := false
	for _, p := range params {
		inQuery = inQuery || isAuthParam(p.Name)
	}
	switch {
	case inHeader && inQuery:
		return Claim{}, bad("credentials in the query string beside the Authorization header")
	case inQuery && !allowQuery:
		return Claim{}, bad("credentials in the query string are not accepted here")
	case inQuery:
		return c, c.parseQueryForm(params)
	case inHeader && len(header) == 1:
		return c, c.parseHeaderForm(header[0])
	}
	return Claim{}, &Error{NoCredentials, "the request carries no credentials"}
}

// isAuthParam takes names without regard to case, so that one spelling cannot
// be checked and another used.
func isAuthParam(name string) bool {
	return len(name) >= 6 && strings.EqualFold(name[:6], "X-Amz-")
}

func parseAlgorithm(name string) (Algorithm, error) {
	for _, a := range [...]Algorithm{SigV4A, SigV4} {
		if name == a.String() {
			return a, nil
		}
	}
	return 0, bad("the signature algorithm is not known")
}

// parseHeaderForm reads
//
//	ALGORITHM Credential=ID/SCOPE, SignedHeaders=a;b, Signature=HEX
//
// with the three in any order and the spaces after commas optional.
func (c *Claim) parseHeaderForm(header string) (err error) {
	name, rest, _ := strings.Cut(trimBlanks(header), " ")
	if c.Algorithm, err = parseAlgorithm(name); err != nil {
		return err
	}
	var credential string
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(trimBlanks(field), "=")
		var into *string
		switch name {
		case "Credential":
			into = &credential
		case "SignedHeaders":
			into = &c.signedHeaders
		case "Signature":
			into = &c.signature
		default:
			return bad("Authorization has an unknown part")
		}
		if *into != "" || value == "" {
			return bad("Authorization has an empty part, or one twice")
		}
		*into = value
	}
	c.date = c.request.value("X-Amz-Date")
	c.regionSet = c.request.value("X-Amz-Region-Set")
	c.token = c.request.value("X-Amz-Security-Token")
	return c.complete(credential)
}

// parseQueryForm reads the parameters that begin with X-Amz-. Each may come
// once; a header that repeats one is an error.
func (c *Claim) parseQueryForm(params []Param) (err error) {
	c.inQuery = true
	var algorithm, credential, expires string
	into := map[string]*string{
		"X-Amz-Algorithm": &algorithm, "X-Amz-Credential": &credential, "X-Amz-Expires": &expires,
		"X-Amz-Date": &c.date, "X-Amz-SignedHeaders": &c.signedHeaders, "X-Amz-Signature": &c.signature,
		"X-Amz-Region-Set": &c.regionSet, "X-Amz-Security-Token": &c.token,
	}
	for _, p := range params {
		if !isAuthParam(p.Name) {
			continue
		}
		field := into[p.Name]
		if field == nil || *field != "" || p.Value == "" {
			return bad("the query string has an X-Amz- parameter that is unknown, empty or there twice")
		}
		if len(c.request.Header[p.Name]) > 0 {
			return bad("the query string repeats a header")
		}
		*field = p.Value
	}
	for _, name := range [...]string{"X-Amz-Date", "X-Amz-Region-Set", "X-Amz-Security-Token"} {
		if len(c.request.Header[name]) > 0 {
			return bad("credentials in headers beside those in the query string")
		}
	}
	if c.Algorithm, err = parseAlgorithm(algorithm); err != nil {
		return err
	}
	seconds, err := strconv.ParseUint(expires, 10, 32)
	c.expires = time.Duration(seconds) * time.Second
	if err != nil || seconds == 0 || c.expires > longestLife {
		return bad("X-Amz-Expires is not between 1 and 604800 seconds")
	}
	return c.complete(credential)
}

// complete checks that all parts are there and reads what they hold.
func (c *Claim) complete(credential string) (err error) {
	if credential == "" || c.signedHeaders == "" || c.signature == "" {
		return bad("Authorization needs Credential, SignedHeaders and Signature")
	}
	if err := checkSignature(c.signature, c.Algorithm); err != nil {
		return err
	}
	if err := checkSignedList(c.signedHeaders); err != nil {
		return err
	}
	if err := c.parseCredential(credential); err != nil {
		return err
	}
	c.SignedAt, err = parseDate(c.date)
	return err
}

// checkSignature refuses what is not whole bytes in lower-case hex, or cannot
// be a signature for its length.
func checkSignature(s string, a Algorithm) error {
	for i := range len(s) {
		if c := s[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return bad("the Signature is not lower-case hex")
		}
	}
	if a == SigV4 && len(s) != 64 || len(s) > 2*maxDER || len(s)%2 != 0 {
		return bad("the Signature has the wrong length")
	}
	return nil
}
