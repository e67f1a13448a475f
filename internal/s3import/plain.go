package s3import

import (
	"bytes"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/popkv/popkv"
)

// ReadAny is [Read] for files that people write by hand: beside import
// documents it takes a plain map, {"key":"value"}, whose members are the items.
// An object with a member data that is an array is a document. The whole file
// is held in memory.
func ReadAny(r io.Reader, limits popkv.Limits, add func(key, value []byte) error) (Stats, error) {
	in := &input{r: r, limit: limits.ImportBytes}
	text, err := io.ReadAll(in)
	if err != nil {
		return Stats{Bytes: in.read}, err
	}
	if isDocument(bytes.TrimPrefix(text, []byte(byteOrderMark))) {
		return Read(bytes.NewReader(text), limits, add)
	}
	d := newDocument(bytes.NewReader(text), limits, add)
	d.plain = true
	return d.run()
}

// isDocument reports whether text begins as a JSON object that has an array
// data; where the JSON is bad before that is clear, it is none.
func isDocument(text []byte) bool {
	dec := jsontext.NewDecoder(bytes.NewReader(text))
	if token, err := dec.ReadToken(); err != nil || token.Kind() != '{' {
		return false
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return false
		}
		if name.String() == "data" {
			return dec.PeekKind() == '['
		}
		if dec.SkipValue() != nil {
			return false
		}
	}
	return false
}

// pairs reads the members of a plain map.
func (d *document) pairs() error {
	return d.members(func(name string) (err error) {
		d.key = append(d.key[:0], name...)
		if d.value, err = d.text(d.value); err != nil {
			return err
		}
		return d.addItem()
	})
}
