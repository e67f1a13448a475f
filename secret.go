package popkv

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
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

// MinSecretBytes is the length of the shortest secret that may protect a
// server which other machines can reach; AWS makes them 40 characters long.
const MinSecretBytes = 20

// IsWeak reports whether the secret must not protect a server that other
// machines can reach: it is short, monotonous, or stands in documentation.
func (s Secret) IsWeak() bool {
	distinct := map[rune]bool{}
	for _, r := range s.text {
		distinct[r] = true
	}
	lower := strings.ToLower(s.text)
	for _, sample := range []string{"example", "password", "changeme", "secret"} {
		if strings.Contains(lower, sample) {
			return true
		}
	}
	return len(s.text) < MinSecretBytes || len(distinct) < 8
}

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
