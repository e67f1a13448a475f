package s3import

import (
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/popkv/popkv"
)

// Read reads a whole document from r and calls add for every item, in the
// order of the document. key and value are only valid during the call. An
// error of add ends the reading and is returned as it is; every other error is
// a [*Failure].
//
//	document = [BOM] { "data": [ item* ], other members, ignored }
//	item     = { "key": string, "value": string, other members, ignored }
//
// The JSON is read strictly, ignored members included: invalid UTF-8, unpaired
// surrogates, two members of one name and anything after the document are
// refused, so that nothing is ever stored that the document does not say. A
// key is 1 to limits.KeyBytes bytes of UTF-8, a value at most
// limits.ValueBytes, the document at most limits.ImportBytes and the items
// together at most limits.StoreBytes. Duplicate keys are not noticed here.
//
// Source: File format for key-value pairs (documented); the byte order mark,
// ignored members and bytes as unit are assumed (divergence 11).
func Read(r io.Reader, limits popkv.Limits, add func(key, value []byte) error) (Stats, error) {
	return newDocument(r, limits, add).run()
}

// Stats says how far a reading came.
type Stats struct {
	Bytes     int64 // of the document
	Items     int
	ItemBytes int64 // UTF-8 bytes of keys and values
}

// addError carries an error of the callback past the decoder.
type addError struct{ error }

type document struct {
	in     *input
	dec    *jsontext.Decoder
	limits popkv.Limits
	add    func(key, value []byte) error
	plain  bool // a plain map instead

	items     int
	itemBytes int64
	key       []byte // of the item being read
	value     []byte
	name      []byte // scratch for member names with escapes
}

func newDocument(r io.Reader, limits popkv.Limits, add func(key, value []byte) error) *document {
	in := &input{r: r, limit: limits.ImportBytes}
	return &document{in: in, dec: jsontext.NewDecoder(&skipBOM{r: in}), limits: limits, add: add}
}

func (d *document) stats() Stats {
	return Stats{Bytes: d.in.read, Items: d.items, ItemBytes: d.itemBytes}
}

func (d *document) run() (Stats, error) {
	err := d.read()
	var fromAdd addError
	switch {
	case errors.As(err, &fromAdd):
		err = fromAdd.error
	case d.in.err != nil:
		// To the decoder a document that is cut off by its source is merely bad
		// JSON.
		err = d.in.err
	}
	return d.stats(), err
}

func (d *document) read() error {
	if d.dec.PeekKind() != '{' {
		return d.bad("the document is not an object")
	}
	read := d.object
	if d.plain {
		read = d.pairs
	}
	if err := read(); err != nil {
		return err
	}
	if _, err := d.dec.ReadToken(); err != io.EOF {
		return d.bad("the document is followed by something else")
	}
	return nil
}

// object reads the document's one object.
func (d *document) object() error {
	found := false
	err := d.members(func(name string) error {
		if name != "data" {
			return d.syntax(d.dec.SkipValue())
		}
		found = true
		return d.list()
	})
	if err != nil {
		return err
	}
	if !found {
		return d.bad("the document has no member data")
	}
	return nil
}

func (d *document) list() error {
	if d.dec.PeekKind() != '[' {
		return d.bad("data is not an array")
	}
	if _, err := d.dec.ReadToken(); err != nil {
		return d.syntax(err)
	}
	for d.dec.PeekKind() != ']' {
		if err := d.item(); err != nil {
			return err
		}
	}
	_, err := d.dec.ReadToken()
	return d.syntax(err)
}

func (d *document) item() error {
	if d.dec.PeekKind() != '{' {
		return d.bad("an item is not an object")
	}
	var hasKey, hasValue bool
	err := d.members(func(name string) (err error) {
		switch name {
		case "key":
			hasKey = true
			d.key, err = d.text(d.key)
		case "value":
			hasValue = true
			d.value, err = d.text(d.value)
		default:
			err = d.syntax(d.dec.SkipValue())
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case !hasKey || !hasValue:
		return d.bad("an item lacks its key or its value")
	}
	return d.addItem()
}

// addItem checks the key and value that were read and hands them over.
func (d *document) addItem() error {
	switch {
	case len(d.key) == 0:
		return d.bad("a key is empty")
	case len(d.key) > d.limits.KeyBytes || len(d.value) > d.limits.ValueBytes:
		return fail(ItemTooLarge, d.dec.InputOffset(), nil)
	}
	d.items++
	d.itemBytes += int64(len(d.key)) + int64(len(d.value))
	if d.itemBytes > d.limits.StoreBytes {
		return fail(TooLarge, d.dec.InputOffset(), errors.New("the items together pass the size of a store"))
	}
	if err := d.add(d.key, d.value); err != nil {
		return addError{err}
	}
	return nil
}

// members reads an object, whose opening brace is next, and calls member once
// per name; member must read the value.
func (d *document) members(member func(name string) error) error {
	if _, err := d.dec.ReadToken(); err != nil {
		return d.syntax(err)
	}
	for d.dec.PeekKind() != '}' {
		raw, err := d.dec.ReadValue()
		if err != nil {
			return d.syntax(err)
		}
		// Names are compared unescaped, without allocating for the two that
		// come with every item.
		var name string
		switch string(raw) {
		case `"key"`:
			name = "key"
		case `"value"`:
			name = "value"
		default:
			if d.name, err = jsontext.AppendUnquote(d.name[:0], raw); err != nil {
				return d.syntax(err)
			}
			name = string(d.name)
		}
		if err := member(name); err != nil {
			return err
		}
	}
	_, err := d.dec.ReadToken()
	return d.syntax(err)
}

// text reads a string into buf.
func (d *document) text(buf []byte) ([]byte, error) {
	if d.dec.PeekKind() != '"' {
		return buf, d.bad("a key or value is not a string")
	}
	raw, err := d.dec.ReadValue()
	if err != nil {
		return buf, d.syntax(err)
	}
	buf, err = jsontext.AppendUnquote(buf[:0], raw)
	return buf, d.syntax(err)
}

// syntax turns a decoder's error into a Failure. The decoder's own text may
// quote the document and is left out.
func (d *document) syntax(err error) error {
	if err == nil {
		return nil
	}
	offset := d.dec.InputOffset()
	var s *jsontext.SyntacticError
	if errors.As(err, &s) {
		offset = s.ByteOffset
	}
	return fail(NotJSON, offset, errors.New("syntax error"))
}

// bad reports a document that is not of the shape wanted, or that cannot even
// be read at this place.
func (d *document) bad(what string) error {
	return fail(NotJSON, d.dec.InputOffset(), fmt.Errorf("wrong shape: %s", what))
}
