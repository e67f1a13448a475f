package access

import (
	"fmt"
	"io"
	"log/slog"
)

// A Secret is text that no formatting, logging or encoding shows: every one of
// them gives ***.
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

// LogValue serves slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText serves encoders that have no form of their own here.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON serves JSON encoders.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }
