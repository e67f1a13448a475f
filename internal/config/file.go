package config

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads a settings file into its keys, sections joined by dots. It
// keeps every value as it is written, so that an account id with leading
// zeros stays what it is, and refuses a key given twice and a second document,
// which would go unread.
func parseYAML(text []byte) (map[string]any, error) {
	var doc, more yaml.Node
	in := yaml.NewDecoder(bytes.NewReader(text))
	if err := in.Decode(&doc); err != nil && err != io.EOF {
		return nil, err
	}
	if err := in.Decode(&more); err == nil {
		return nil, fmt.Errorf("line %d: there is a second document: keep one", more.Line)
	} else if err != io.EOF {
		return nil, err
	}
	flat := map[string]any{}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return flat, nil
	}
	return flat, flatten(flat, "", doc.Content[0])
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func flatten(flat map[string]any, prefix string, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: expected keys and values", n.Line)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := prefix+n.Content[i].Value, n.Content[i+1]
		if isNull(value) {
			continue
		}
		if value.Kind == yaml.MappingNode {
			if err := flatten(flat, key+".", value); err != nil {
				return err
			}
			continue
		}
		text, err := scalar(value)
		if err != nil {
			return err
		}
		if _, twice := flat[key]; twice {
			return fmt.Errorf("line %d: %s is given twice", n.Content[i].Line, key)
		}
		flat[key] = text
	}
	return nil
}

// scalar returns a plain value as written; the items of a list are joined by
// commas, as in a flag.
func scalar(n *yaml.Node) (string, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value, nil
	case yaml.SequenceNode:
		var items []string
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return "", fmt.Errorf("line %d: a list holds plain values only", item.Line)
			}
			items = append(items, item.Value)
		}
		return strings.Join(items, ","), nil
	}
	return "", fmt.Errorf("line %d: aliases are not supported", n.Line)
}
