package cfjs

import "strings"

// ParseQuery splits a query string, without its "?", into entries as the event
// shows them: nothing is decoded, and a parameter without "=" has the value "".
func ParseQuery(query string) Fields {
	var fs Fields
	for query != "" {
		var part string
		part, query, _ = strings.Cut(query, "&")
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		fs = fs.Add(name, Value{Text: value})
	}
	return fs
}

// ParseCookies splits a Cookie header into entries.
func ParseCookies(header string) Fields {
	return appendCookies(nil, header)
}

func appendCookies(fs Fields, header string) Fields {
	for _, part := range strings.Split(header, ";") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		fs = fs.Add(name, Value{Text: value})
	}
	return fs
}

// AddHeader adds a header of an HTTP request to q: the name in lower case, a
// Cookie header to the cookies only, a disallowed header nowhere.
func (q *Request) AddHeader(name, value string) {
	name = strings.ToLower(name)
	switch {
	case name == "cookie":
		q.Cookies = appendCookies(q.Cookies, value)
	case !DisallowedHeader(name):
		q.Headers = q.Headers.Add(name, Value{Text: value})
	}
}

// AddHeader adds a header of an HTTP response to p: the name in lower case, a
// Set-Cookie header to the cookies only, a disallowed header nowhere.
func (p *Response) AddHeader(name, value string) {
	name = strings.ToLower(name)
	switch {
	case name == "set-cookie":
		pair, attributes, _ := strings.Cut(value, ";")
		cookie, text, _ := strings.Cut(pair, "=")
		p.Cookies = p.Cookies.Add(strings.TrimSpace(cookie), Value{Text: strings.TrimSpace(text), Attributes: strings.TrimSpace(attributes)})
	case !DisallowedHeader(name):
		p.Headers = p.Headers.Add(name, Value{Text: value})
	}
}

// SetTarget sets the path and the query string from a request target such as
// "/a?b=c".
func (q *Request) SetTarget(target string) {
	path, query, ok := strings.Cut(target, "?")
	q.URI = path
	if ok {
		q.RawQuery = &query
		q.Query = ParseQuery(query)
	}
}
