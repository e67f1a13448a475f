package cfapi

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// A writer writes one response document, without white space between
// elements, as AWS does.
type writer struct{ buf bytes.Buffer }

// document writes `<?xml version="1.0"?>`, the root element in space, and what
// content writes into it.
func document(space, root string, content func(w *writer)) []byte {
	var w writer
	w.buf.WriteString(`<?xml version="1.0"?>` + "\n")
	w.buf.WriteString("<" + root + ` xmlns="` + space + `">`)
	content(&w)
	w.buf.WriteString("</" + root + ">")
	return w.buf.Bytes()
}

// element writes an element around content.
func (w *writer) element(name string, content func()) {
	w.buf.WriteString("<" + name + ">")
	content()
	w.buf.WriteString("</" + name + ">")
}

// text writes an element that holds text.
func (w *writer) text(name, text string) {
	w.element(name, func() { w.buf.WriteString(escape(text)) })
}

// page writes what lists have in common, and their items.
func (w *writer) page(next string, maxItems, quantity int, item func(i int)) {
	if next != "" {
		w.text("NextMarker", next)
	}
	w.number("MaxItems", maxItems)
	w.number("Quantity", quantity)
	if quantity == 0 {
		return
	}
	w.element("Items", func() {
		for i := range quantity {
			item(i)
		}
	})
}

// escape writes text as it may stand between two tags. A carriage return would
// be read back as a line feed, and what XML cannot express (no comment that
// came as XML holds any) becomes U+FFFD.
func escape(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r != 0xFFFE && r != 0xFFFF:
			return r
		}
		return unicode.ReplacementChar
	}, text)
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;").Replace(text)
}

func (w *writer) number(name string, n int) { w.text(name, strconv.Itoa(n)) }

// time writes a timestamp with milliseconds, in UTC (assumed from the guide).
func (w *writer) time(name string, t time.Time) {
	w.text(name, t.UTC().Format("2006-01-02T15:04:05.000Z"))
}
