package kvsapi

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// The oracle of the JSON tests: encoding/json for the grammar, and beside it
// the three things that encoding/json lets pass, each written out plainly.

// strictlyValid reports whether content is one JSON value in valid UTF-8
// without unpaired surrogates or repeated members.
func strictlyValid(content []byte) bool {
	if !json.Valid(content) || !utf8.Valid(content) || hasUnpairedSurrogate(content) {
		return false
	}
	return !repeatsAMember(json.NewDecoder(bytes.NewReader(content)))
}

// textOf returns the string that content is, if it is one and valid.
func textOf(content []byte) (string, bool) {
	var s *string
	if !strictlyValid(content) || json.Unmarshal(content, &s) != nil || s == nil {
		return "", false
	}
	return *s, true
}

// hasUnpairedSurrogate looks for \uD800-\uDFFF escapes that do not pair up.
func hasUnpairedSurrogate(content []byte) bool {
	for i := 0; i < len(content); i++ {
		if content[i] != '\\' {
			continue
		}
		i++
		unit, ok := codeUnit(content, i)
		if !ok || unit < 0xd800 || unit > 0xdfff {
			continue
		}
		low, ok := codeUnit(content, i+6)
		if unit >= 0xdc00 || !ok || content[i+5] != '\\' || low < 0xdc00 || low > 0xdfff {
			return true
		}
		i += 10
	}
	return false
}

// codeUnit reads uXXXX at i.
func codeUnit(content []byte, i int) (unit uint32, ok bool) {
	if i+5 > len(content) || content[i] != 'u' {
		return 0, false
	}
	for _, c := range content[i+1 : i+5] {
		digit, ok := unhex(c)
		if !ok {
			return 0, false
		}
		unit = unit<<4 | uint32(digit)
	}
	return unit, true
}

// repeatsAMember walks one value.
func repeatsAMember(dec *json.Decoder) bool {
	token, err := dec.Token()
	if err != nil {
		return false
	}
	switch token {
	case json.Delim('['):
		for dec.More() {
			if repeatsAMember(dec) {
				return true
			}
		}
		_, _ = dec.Token()
	case json.Delim('{'):
		seen := map[any]bool{}
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return false
			}
			if seen[name] {
				return true
			}
			seen[name] = true
			if repeatsAMember(dec) {
				return true
			}
		}
		_, _ = dec.Token()
	}
	return false
}

// repeatsInside reports whether a member repeats somewhere in content.
func repeatsInside(content string) bool {
	return repeatsAMember(json.NewDecoder(strings.NewReader(content)))
}

// depth returns how deep brackets nest in content, strings left out.
func depth(content string) (deepest int) {
	now, inText := 0, false
	for i := 0; i < len(content); i++ {
		switch c := content[i]; {
		case inText && c == '\\':
			i++
		case c == '"':
			inText = !inText
		case !inText && (c == '[' || c == '{'):
			now++
			deepest = max(deepest, now)
		case !inText && (c == ']' || c == '}'):
			now--
		}
	}
	return deepest
}
