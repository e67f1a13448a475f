package kvsapi

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/dataplane"
)

// maxDepth bounds the nesting of a body. Valid ones nest three deep; members
// that are not known may nest deeper and are read past.
const maxDepth = 32

// A bodyReader reads one JSON document strictly: what it returns is what was
// sent or an error. The decoder refuses invalid UTF-8, unpaired surrogates
// and a member given twice in one object; names match exactly; nothing may
// follow the document. Its errors have kind [popkv.Malformed] and hold no
// part of the body.
type bodyReader struct {
	dec *jsontext.Decoder
}

func newBodyReader(body []byte) bodyReader {
	return bodyReader{jsontext.NewDecoder(bytes.NewBuffer(body))}
}

// readPut reads the body of PutKey: {"Value": string}.
func readPut(body []byte) (value string, err error) {
	given := false
	err = readDocument(body, func(r bodyReader, name string) (err error) {
		if name == "Value" {
			value, given, err = r.text(place{member: "Value"})
			return err
		}
		return r.skip()
	})
	if err == nil && !given {
		err = dataplane.MissingMember("/Value")
	}
	return value, err
}

// readUpdate reads the body of UpdateKeys:
//
//	{"Puts": [{"Key": string, "Value": string}], "Deletes": [{"Key": string}]}
//
// Both lists may be absent or null.
func readUpdate(body []byte) (puts []popkv.Item, deletes []string, err error) {
	var missing error
	err = readDocument(body, func(r bodyReader, name string) error {
		switch name {
		case "Puts":
			return r.list(name, func(at place) error {
				item, err := r.item(at, true, &missing)
				puts = append(puts, item)
				return err
			})
		case "Deletes":
			return r.list(name, func(at place) error {
				item, err := r.item(at, false, &missing)
				deletes = append(deletes, item.Key)
				return err
			})
		}
		return r.skip()
	})
	if err == nil {
		err = missing
	}
	return puts, deletes, err
}

// A place is a value of a body. It is spelled only in an error.
type place struct {
	list   string // "" outside of a list
	index  int
	member string // "" for an element itself
}

// String is the place as a path: /Value, /Puts/3, /Puts/3/Key.
func (at place) String() string {
	path := ""
	if at.list != "" {
		path = "/" + at.list + "/" + strconv.Itoa(at.index)
	}
	if at.member != "" {
		path += "/" + at.member
	}
	return path
}

// item reads an element of Puts or, without a value, of Deletes. The first
// required member that is missing is told in *missing: a document that cannot
// be read is told first.
func (r bodyReader) item(at place, withValue bool, missing *error) (popkv.Item, error) {
	var item popkv.Item
	hasKey, hasValue := false, !withValue
	err := r.object(at, func(name string) (err error) {
		member := place{at.list, at.index, name}
		switch {
		case name == "Key":
			item.Key, hasKey, err = r.text(member)
		case name == "Value" && withValue:
			item.Value, hasValue, err = r.text(member)
		default:
			err = r.skip()
		}
		return err
	})
	if err == nil && *missing == nil && !(hasKey && hasValue) {
		at.member = "Key"
		if hasKey {
			at.member = "Value"
		}
		*missing = dataplane.MissingMember(at.String())
	}
	return item, err
}

// readDocument reads one object that fills body. An empty body is an empty
// object, as clients without a member to send may send none.
func readDocument(body []byte, member func(r bodyReader, name string) error) error {
	if len(body) == 0 {
		return nil
	}
	r := newBodyReader(body)
	if err := r.object(place{}, func(name string) error { return member(r, name) }); err != nil {
		return err
	}
	if _, err := r.dec.ReadToken(); err != io.EOF {
		return popkv.Errorf(popkv.Malformed, "the request body has something after its JSON document")
	}
	return nil
}

// object reads an object and calls member with each name; member reads the
// value.
func (r bodyReader) object(at place, member func(name string) error) error {
	if err := r.open('{', at, "an object"); err != nil {
		return err
	}
	for r.dec.PeekKind() != '}' {
		name, err := r.name()
		if err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
	}
	_, err := r.token()
	return err
}

// name reads a member's name. The names that we know cost no allocation.
func (r bodyReader) name() (string, error) {
	raw, err := r.dec.ReadValue()
	if err != nil {
		return "", r.problem(err)
	}
	switch string(raw) {
	case `"Key"`:
		return "Key", nil
	case `"Value"`:
		return "Value", nil
	}
	name, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		return "", r.problem(err)
	}
	return string(name), nil
}

// list reads an array and calls element with each element's place; element
// reads it. Null stands for an absent list.
func (r bodyReader) list(name string, element func(at place) error) error {
	if r.dec.PeekKind() == 'n' {
		_, err := r.token()
		return err
	}
	if err := r.open('[', place{member: name}, "a list"); err != nil {
		return err
	}
	for i := 0; r.dec.PeekKind() != ']'; i++ {
		if err := element(place{list: name, index: i}); err != nil {
			return err
		}
	}
	_, err := r.token()
	return err
}

// text reads a string. Null counts as not given.
func (r bodyReader) text(at place) (s string, given bool, err error) {
	token, err := r.token()
	if err != nil {
		return "", false, err
	}
	switch token.Kind() {
	case '"':
		return token.String(), true, nil
	case 'n':
		return "", false, nil
	}
	return "", false, wrongType(at, "a string")
}

// open reads the token that begins an object or a list.
func (r bodyReader) open(kind jsontext.Kind, at place, want string) error {
	token, err := r.token()
	if err != nil {
		return err
	}
	if token.Kind() != kind {
		return wrongType(at, want)
	}
	return nil
}

// skip reads past one value, token by token to keep its depth bounded.
func (r bodyReader) skip() error {
	for depth := r.dec.StackDepth(); ; {
		if _, err := r.token(); err != nil {
			return err
		}
		if r.dec.StackDepth() <= depth {
			return nil
		}
	}
}

func (r bodyReader) token() (jsontext.Token, error) {
	token, err := r.dec.ReadToken()
	if err != nil {
		return token, r.problem(err)
	}
	if r.dec.StackDepth() > maxDepth {
		return token, popkv.Errorf(popkv.Malformed, "the request body nests deeper than %d", maxDepth)
	}
	return token, nil
}

// problem tells what the decoder found, and where, without a part of the body.
func (r bodyReader) problem(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return popkv.Errorf(popkv.Malformed, "the request body gives a member twice, near byte %d", r.dec.InputOffset())
	}
	return popkv.Errorf(popkv.Malformed, "the request body is not valid JSON in UTF-8, near byte %d", r.dec.InputOffset())
}

func wrongType(at place, want string) error {
	path := at.String()
	if path == "" {
		return popkv.Errorf(popkv.Malformed, "the request body must be %s", want)
	}
	return popkv.Errorf(popkv.Malformed, "the request body must have %s at %s", want, path)
}
