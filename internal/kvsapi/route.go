package kvsapi

import (
	"strings"
	"unicode/utf8"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
)

// An operation is spelled as policies spell its action.
type operation string

const actionPrefix = access.ServiceDataPlane + ":"

const (
	describeKeyValueStore operation = actionPrefix + "DescribeKeyValueStore"
	getKey                operation = actionPrefix + "GetKey"
	listKeys              operation = actionPrefix + "ListKeys"
	putKey                operation = actionPrefix + "PutKey"
	deleteKey             operation = actionPrefix + "DeleteKey"
	updateKeys            operation = actionPrefix + "UpdateKeys"
)

// name is the operation's name on the wire.
func (o operation) name() string { return string(o[len(actionPrefix):]) }

// PathPrefix begins the path of every request of the data plane.
const PathPrefix = "/key-value-stores/"

// A route is what a method and a path ask for.
type route struct {
	operation operation
	arn       string // decoded, not checked
	key       string // still escaped; for the operations on one key
}

// match finds the route of a raw escaped path:
//
//	/key-value-stores/{KvsARN}               GET
//	/key-value-stores/{KvsARN}/keys          GET POST
//	/key-value-stores/{KvsARN}/keys/{Key}    GET PUT DELETE
//
// {KvsARN} and {Key} are one segment each, with two liberties: the slash
// inside an ARN may also be sent raw (assumed: an ARN ends in a UUID, so the
// path stays unambiguous), and {Key} may be empty, which the rules refuse by
// the right name. Anything else, a trailing slash too, fails with
// [popkv.UnknownOperation]; an ARN that cannot be decoded with
// [popkv.Malformed].
func match(method, path string) (route, error) {
	rest, ok := strings.CutPrefix(path, PathPrefix)
	if !ok {
		return route{}, unknownOperation()
	}
	label, tail, below := strings.Cut(rest, "/")
	arn, err := unescape(label)
	if err != nil {
		return route{}, err
	}
	if below && strings.HasSuffix(arn, ":"+popkv.ResourceStore) {
		label, tail, below = strings.Cut(tail, "/")
		id, err := unescape(label)
		if err != nil {
			return route{}, err
		}
		arn += "/" + id
	}
	if arn == "" {
		return route{}, unknownOperation()
	}
	if !below {
		return pick(method, route{arn: arn}, choice{"GET", describeKeyValueStore})
	}
	keys, key, below := strings.Cut(tail, "/")
	switch {
	case keys != "keys":
		return route{}, unknownOperation()
	case !below:
		return pick(method, route{arn: arn}, choice{"GET", listKeys}, choice{"POST", updateKeys})
	case strings.Contains(key, "/"):
		return route{}, popkv.Errorf(popkv.UnknownOperation, "the path matches no operation: a key is one segment of the path, so a slash in it is sent as %%2F")
	}
	return pick(method, route{arn: arn, key: key}, choice{"GET", getKey}, choice{"PUT", putKey}, choice{"DELETE", deleteKey})
}

// A choice is what one method of a path asks for.
type choice struct {
	method    string
	operation operation
}

// pick completes r with the operation of method.
func pick(method string, r route, choices ...choice) (route, error) {
	for _, c := range choices {
		if c.method == method {
			r.operation = c.operation
			return r, nil
		}
	}
	return route{}, unknownOperation()
}

func unknownOperation() error {
	return popkv.Errorf(popkv.UnknownOperation, "no operation has this method and path")
}

// unescape decodes one segment of a path. A plus is a plus. A broken escape
// and bytes that are not UTF-8 fail with [popkv.Malformed]. A segment without
// escapes costs no allocation.
func unescape(segment string) (string, error) {
	if i := strings.IndexByte(segment, '%'); i >= 0 {
		var b strings.Builder
		b.Grow(len(segment))
		b.WriteString(segment[:i])
		for ; i < len(segment); i++ {
			c := segment[i]
			if c == '%' {
				if i+2 >= len(segment) {
					return "", malformedEscape()
				}
				hi, ok1 := unhex(segment[i+1])
				lo, ok2 := unhex(segment[i+2])
				if !ok1 || !ok2 {
					return "", malformedEscape()
				}
				c = hi<<4 | lo
				i += 2
			}
			b.WriteByte(c)
		}
		segment = b.String()
	}
	if !utf8.ValidString(segment) {
		return "", popkv.Errorf(popkv.Malformed, "the path or query is not valid UTF-8")
	}
	return segment, nil
}

func malformedEscape() error {
	return popkv.Errorf(popkv.Malformed, "the path or query holds a broken percent escape")
}

func unhex(c byte) (byte, bool) {
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
