package config

import (
	"fmt"
	"io"
)

// A Secret is text that no formatting, logging or encoding shows.
type Secret struct{ text string }

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text itself.
func (s Secret) Reveal() string { return s.text }

// IsEmpty reports whether there is no secret.
func (s Secret) IsEmpty() bool { return s.text == "" }

// String returns *** or, when there is no secret, nothing.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return "***"
}

// Format writes [Secret.String] for every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// MarshalText writes [Secret.String]: it serves slog, JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
