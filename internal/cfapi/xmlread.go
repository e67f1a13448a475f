package cfapi

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"

	"github.com/popkv/popkv"
)

// namespace is on the root of every request and response (documented). A
// request without any is accepted.
const namespace = "http://cloudfront.amazonaws.com/doc/2020-05-31/"

// maxDepth bounds the nesting of elements; no request of the API passes 6.
const maxDepth = 32

// An element is one XML element of a request. Attributes and elements of other
// namespaces are left out.
type element struct {
	name     string
	text     strings.Builder
	children []*element
}

// parseXML reads a document whose root must be called root. There is one
// document only; a document type is refused, so there are no entities beyond
// the five of XML itself. Failures are [popkv.Malformed].
func parseXML(body []byte, root string) (*element, error) {
	dec := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\uFEFF"))))
	var top *element
	var open []*element // the path from the root; nil for an element left out
	for {
		token, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, malformed("the body is not well-formed XML", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if len(open) == maxDepth {
				return nil, malformed("the elements are nested too deeply", nil)
			}
			e := begin(token, open)
			if len(open) == 0 {
				if top != nil || e == nil {
					return nil, malformed("the body is not one document of the CloudFront namespace", nil)
				}
				top = e
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) == 0 {
				if len(bytes.TrimSpace(token)) > 0 {
					return nil, malformed("there is text outside the document", nil)
				}
			} else if e := open[len(open)-1]; e != nil {
				e.text.Write(token)
			}
		case xml.Directive:
			return nil, malformed("a document type is not allowed", nil)
		}
	}
	if top == nil {
		return nil, malformed("the body is empty", nil)
	}
	if top.name != root {
		return nil, malformed("the root element is not "+root, nil)
	}
	return top, nil
}

// begin makes the element that token starts and hangs it into its parent,
// unless it or its parent belongs to another namespace.
func begin(token xml.StartElement, open []*element) *element {
	if token.Name.Space != "" && token.Name.Space != namespace {
		return nil
	}
	e := &element{name: token.Name.Local}
	if len(open) > 0 {
		parent := open[len(open)-1]
		if parent == nil {
			return nil
		}
		parent.children = append(parent.children, e)
	}
	return e
}

func malformed(message string, cause error) error {
	return popkv.Wrap(popkv.Malformed, cause, message)
}

// missing is what AWS says of a required element that is not there (observed).
func missing(member string) error {
	return popkv.Errorf(popkv.Malformed,
		"1 validation error detected: Value null at '%s' failed to satisfy constraint: Member must not be null", member)
}

// child returns the child of that name, nil if there is none. Two of them are
// an ambiguity, and refused.
func (e *element) child(name string) (*element, error) {
	var found *element
	for _, c := range e.children {
		if c.name != name {
			continue
		}
		if found != nil {
			return nil, malformed("the element "+name+" is there twice", nil)
		}
		found = c
	}
	return found, nil
}

// list returns the `Items` child's children called item: the shape of every
// list in the API. Without the list there are none.
func (e *element) list(item string) ([]*element, error) {
	items, err := e.child("Items")
	if err != nil || items == nil {
		return nil, err
	}
	var all []*element
	for _, c := range items.children {
		if c.name == item {
			all = append(all, c)
		}
	}
	return all, nil
}

// string returns the element's text exactly as written, white space included.
func (e *element) string() (string, error) {
	if len(e.children) > 0 {
		return "", malformed("the element "+e.name+" holds elements where text was expected", nil)
	}
	return e.text.String(), nil
}

// optional returns the text of the child of that name, nil if there is none.
func (e *element) optional(name string) (*string, error) {
	c, err := e.child(name)
	if c == nil || err != nil {
		return nil, err
	}
	s, err := c.string()
	return &s, err
}

// required is like optional, but fails where the child is missing; member is
// its path in AWS's spelling.
func (e *element) required(name, member string) (string, error) {
	s, err := e.optional(name)
	if err != nil {
		return "", err
	}
	if s == nil {
		return "", missing(member)
	}
	return *s, nil
}
