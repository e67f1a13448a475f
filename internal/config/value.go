package config

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/popkv/popkv"
)

// A Kind is how a value is written and checked.
type Kind string

// The kinds of value, as the guide names them.
const (
	KindText     Kind = "text"
	KindSecret   Kind = "secret"
	KindList     Kind = "list"    // comma-separated, or a YAML list
	KindAddress  Kind = "address" // host:port
	KindBool     Kind = "true or false"
	KindCount    Kind = "number"
	KindSize     Kind = "size"     // bytes: 512B, 64KiB, 5MB
	KindDuration Kind = "duration" // 250ms, 1m30s, 7d

	KindStaleETag    Kind = "validation or conflict"
	KindFunctionMode Kind = "worker or inprocess"
	KindLogLevel     Kind = "debug, info, warn or error"
	KindLogFormat    Kind = "auto, text or json"
)

// choices returns the words that a kind allows, nil if it is not a choice.
func (k Kind) choices() []string {
	switch k {
	case KindStaleETag, KindFunctionMode, KindLogLevel, KindLogFormat:
		return strings.FieldsFunc(strings.ReplaceAll(string(k), " or ", ","), func(r rune) bool { return r == ',' || r == ' ' })
	}
	return nil
}

// set parses text into the setting's field. An error says what is expected;
// it never repeats a secret.
func (s Setting) set(c *Config, text string) error {
	if words := s.Kind.choices(); words != nil && !slices.Contains(words, text) {
		return fmt.Errorf("%q is not one of %s", text, s.Kind)
	}
	if s.Kind == KindAddress {
		if _, _, err := net.SplitHostPort(text); err != nil {
			return fmt.Errorf("%q is not host:port", text)
		}
	}
	switch p := s.field(c).(type) {
	case *string:
		*p = text
	case *StaleETag:
		*p = StaleETag(text)
	case *FunctionMode:
		*p = FunctionMode(text)
	case *popkv.Secret:
		*p = popkv.NewSecret(text)
	case *[]string:
		*p = splitList(text)
	case *bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is not true or false", text)
		}
		*p = v
	case *time.Duration:
		v, err := ParseDuration(text)
		if err != nil {
			return err
		}
		*p = v
		return s.positive(int64(v), text)
	case *int:
		v, err := s.number(text)
		if err != nil {
			return err
		}
		*p = int(v)
		return s.positive(v, text)
	case *int64:
		v, err := s.number(text)
		if err != nil {
			return err
		}
		*p = v
		return s.positive(v, text)
	}
	return nil
}

func (s Setting) number(text string) (int64, error) {
	if s.Kind == KindSize {
		return ParseSize(text)
	}
	v, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	return v, nil
}

func (s Setting) positive(v int64, text string) error {
	if v < 0 || v == 0 && s.Zero == "" {
		return fmt.Errorf("%q is not more than zero", text)
	}
	return nil
}

// text writes the setting's value in c as a user would.
func (s Setting) text(c *Config) string {
	switch p := s.field(c).(type) {
	case *[]string:
		return strings.Join(*p, ",")
	case *time.Duration:
		return FormatDuration(*p)
	case *int:
		return s.formatNumber(int64(*p))
	case *int64:
		return s.formatNumber(*p)
	case *string:
		return *p
	case *bool:
		return strconv.FormatBool(*p)
	case *popkv.Secret:
		return p.String()
	case *StaleETag:
		return string(*p)
	case *FunctionMode:
		return string(*p)
	}
	return ""
}

func (s Setting) formatNumber(v int64) string {
	if s.Kind == KindSize {
		return FormatSize(v)
	}
	return strconv.FormatInt(v, 10)
}

func splitList(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// A unit is a suffix and how many bytes it stands for.
type unit struct {
	suffix string
	bytes  int64
}

// sizeUnits returns the suffixes of a size, longest unit first.
func sizeUnits() []unit {
	return []unit{
		{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"B", 1},
	}
}

// ParseSize reads a number of bytes: a whole number, alone or followed by B,
// KB, MB, GB (powers of 1000) or KiB, MiB, GiB (powers of 1024).
func ParseSize(text string) (int64, error) {
	digits, factor := text, int64(1)
	for _, u := range sizeUnits() {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			digits, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > math.MaxInt64/factor || n < 0 {
		return 0, fmt.Errorf("%q is not a size such as 512B, 64KiB or 5MB", text)
	}
	return n * factor, nil
}

// FormatSize writes a size in the largest power of 1024 that divides it.
func FormatSize(bytes int64) string {
	for _, u := range sizeUnits() {
		if strings.HasSuffix(u.suffix, "iB") && bytes != 0 && bytes%u.bytes == 0 {
			return strconv.FormatInt(bytes/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(bytes, 10) + "B"
}

const day = 24 * time.Hour

// ParseDuration reads what [time.ParseDuration] reads, and whole days: 7d.
func ParseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 64)
		if err == nil && n >= 0 && n <= math.MaxInt64/int64(day) {
			return time.Duration(n) * day, nil
		}
	} else if v, err := time.ParseDuration(text); err == nil {
		return v, nil
	}
	return 0, fmt.Errorf("%q is not a duration such as 250ms, 1m30s or 7d", text)
}

// FormatDuration writes a duration without empty parts; whole days as 7d.
func FormatDuration(v time.Duration) string {
	if v != 0 && v%day == 0 {
		return strconv.FormatInt(int64(v/day), 10) + "d"
	}
	text := v.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
