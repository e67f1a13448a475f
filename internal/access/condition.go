package access

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/popkv/popkv"
)

// Conditions are what a policy's Condition may ask about a request.
type Conditions struct {
	Time            time.Time
	SourceIP        netip.Addr // zero: not known
	SecureTransport bool
	// Tags returns the tags of the resource; nil: it has none. It is called at
	// most when a policy asks for one.
	Tags func() (map[string]string, error)

	caller popkv.Caller
}

// A condition is one operator with one key. It holds if any of its values
// matches or, for a negated operator, none does.
type condition struct {
	key      string // as written
	negated  bool
	ifExists bool
	null     bool
	matches  []func(have string) bool
}

// conditionKeys are the keys that may be asked for, besides tags of the
// resource. Case does not matter in them (documented).
func conditionKeys() []string {
	return []string{"aws:CurrentTime", "aws:PrincipalArn", "aws:SecureTransport", "aws:SourceIp", "aws:username"}
}

const tagKeyPrefix = "aws:ResourceTag/"

// compileConditions reads a Condition element, in a fixed order.
func compileConditions(element block[block[oneOrMany[scalar]]]) ([]condition, error) {
	var all []condition
	for _, operator := range slices.Sorted(maps.Keys(element)) {
		if len(element[operator]) == 0 {
			return nil, fmt.Errorf("condition %s: there is no key", operator)
		}
		for _, key := range slices.Sorted(maps.Keys(element[operator])) {
			c, err := compileCondition(operator, key, element[operator][key])
			if err != nil {
				return nil, fmt.Errorf("condition %s %s: %w", operator, key, err)
			}
			all = append(all, c)
		}
	}
	return all, nil
}

func compileCondition(operator, key string, values []scalar) (c condition, err error) {
	if strings.Contains(operator, ":") {
		return c, fmt.Errorf("ForAnyValue and ForAllValues are not supported: no key here has several values")
	}
	base, ifExists := strings.CutSuffix(operator, "IfExists")
	c = condition{key: key, ifExists: ifExists, null: base == "Null", negated: strings.Contains(base, "Not")}
	if c.null && ifExists {
		return c, fmt.Errorf("Null has no IfExists form")
	}
	if err := checkConditionKey(base, key); err != nil {
		return c, err
	}
	if len(values) == 0 {
		return c, fmt.Errorf("there is no value")
	}
	for _, value := range values {
		match, err := compileValue(base, string(value))
		if err != nil {
			return c, err
		}
		c.matches = append(c.matches, match)
	}
	return c, nil
}

// checkConditionKey refuses keys that are not known, and operators that could
// never match the key they are written for.
func checkConditionKey(operator, key string) error {
	lower := strings.ToLower(key)
	if _, isTag := tagName(key); !isTag && !slices.ContainsFunc(conditionKeys(), func(known string) bool { return strings.EqualFold(known, key) }) {
		return fmt.Errorf("the key is not known here: use one of %s, %sTAG", strings.Join(conditionKeys(), ", "), tagKeyPrefix)
	}
	for prefix, only := range map[string]string{"IpAddress": "aws:sourceip", "NotIpAddress": "aws:sourceip", "Date": "aws:currenttime", "Bool": "aws:securetransport"} {
		if strings.HasPrefix(operator, prefix) && lower != only {
			return fmt.Errorf("the operator is for another key")
		}
	}
	return nil
}

// tagName returns the tag that a condition key names.
func tagName(key string) (string, bool) {
	if len(key) <= len(tagKeyPrefix) || !strings.EqualFold(key[:len(tagKeyPrefix)], tagKeyPrefix) {
		return "", false
	}
	return key[len(tagKeyPrefix):], true
}

// compileValue returns what a key's text is asked with this operator and
// value. A negated operator asks the same as its positive one.
func compileValue(operator, value string) (func(have string) bool, error) {
	if strings.Contains(value, "${") {
		return nil, fmt.Errorf("policy variables are not supported")
	}
	switch operator {
	case "StringEquals", "StringNotEquals":
		return func(have string) bool { return have == value }, nil
	case "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase":
		return func(have string) bool { return strings.EqualFold(have, value) }, nil
	case "StringLike", "StringNotLike":
		return func(have string) bool { return glob(value, have) }, nil
	case "Bool", "Null":
		want := strings.ToLower(value)
		if want != "true" && want != "false" {
			return nil, fmt.Errorf("the value must be true or false")
		}
		return func(have string) bool { return have == want }, nil
	case "IpAddress", "NotIpAddress":
		network, err := parseNetwork(value)
		if err != nil {
			return nil, err
		}
		return func(have string) bool {
			address, err := netip.ParseAddr(have)
			return err == nil && network.Contains(address)
		}, nil
	}
	return compileDate(operator, value)
}

func parseNetwork(value string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(value); err == nil && address.Zone() == "" {
		return netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen()), nil
	}
	network, err := netip.ParsePrefix(value)
	if err != nil {
		return network, fmt.Errorf("the value must be an address or a network like 203.0.113.0/24")
	}
	// Addresses are compared as IPv4 wherever they are that.
	if mapped := network.Addr(); mapped.Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(mapped.Unmap(), network.Bits()-96)
	}
	return network.Masked(), nil
}

func compileDate(operator, value string) (func(have string) bool, error) {
	var holds func(order int) bool
	switch operator {
	case "DateEquals", "DateNotEquals":
		holds = func(order int) bool { return order == 0 }
	case "DateLessThan":
		holds = func(order int) bool { return order < 0 }
	case "DateLessThanEquals":
		holds = func(order int) bool { return order <= 0 }
	case "DateGreaterThan":
		holds = func(order int) bool { return order > 0 }
	case "DateGreaterThanEquals":
		holds = func(order int) bool { return order >= 0 }
	default:
		return nil, fmt.Errorf("the operator is not supported: use String*, Bool, IpAddress, NotIpAddress, Date* or Null")
	}
	want, err := parseDate(value)
	if err != nil {
		return nil, err
	}
	return func(have string) bool {
		at, err := time.Parse(time.RFC3339Nano, have)
		return err == nil && holds(at.Compare(want))
	}, nil
}

// parseDate reads the forms that IAM documents: ISO 8601 with less and less in
// it, or seconds since 1970.
func parseDate(value string) (time.Time, error) {
	for _, form := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02"} {
		if at, err := time.Parse(form, value); err == nil {
			return at, nil
		}
	}
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil && len(value) > 4 {
		return time.Unix(seconds, 0), nil
	}
	return time.Time{}, fmt.Errorf("the value must be a date like 2026-01-31T00:00:00Z")
}

// holds evaluates the condition. A key that is not there satisfies negated and
// IfExists operators and no others (documented).
func (c *condition) holds(q *Conditions) (bool, error) {
	have, found, err := q.value(c.key)
	if err != nil {
		return false, err
	}
	if c.null {
		have, found = strconv.FormatBool(!found), true
	}
	if !found {
		return c.negated || c.ifExists, nil
	}
	matched := slices.ContainsFunc(c.matches, func(match func(string) bool) bool { return match(have) })
	return matched != c.negated, nil
}

// value returns the text of a key, and whether the request has it.
func (q *Conditions) value(key string) (text string, found bool, err error) {
	switch lower := strings.ToLower(key); lower {
	case "aws:currenttime":
		return q.Time.UTC().Format(time.RFC3339Nano), true, nil
	case "aws:principalarn":
		return q.caller.ARN(), true, nil
	case "aws:securetransport":
		return strconv.FormatBool(q.SecureTransport), true, nil
	case "aws:sourceip":
		return q.SourceIP.Unmap().WithZone("").String(), q.SourceIP.IsValid(), nil
	case "aws:username":
		return q.caller.User, !q.caller.IsRoot(), nil
	}
	name, _ := tagName(key)
	return q.tag(name)
}

// set gives a key that does not follow from the caller the value in a text.
func (q *Conditions) set(key, value string) (err error) {
	switch strings.ToLower(key) {
	case "aws:currenttime":
		q.Time, err = parseDate(value)
	case "aws:securetransport":
		q.SecureTransport, err = strconv.ParseBool(value)
	case "aws:sourceip":
		q.SourceIP, err = netip.ParseAddr(value)
	default:
		err = fmt.Errorf("it cannot be given: use aws:CurrentTime, aws:SecureTransport, aws:SourceIp or %sTAG", tagKeyPrefix)
	}
	return err
}

// tag returns a tag of the resource: the one spelled like name, else one that
// differs from it in case only.
func (q *Conditions) tag(name string) (string, bool, error) {
	if q.Tags == nil {
		return "", false, nil
	}
	tags, err := q.Tags()
	if err != nil {
		return "", false, err
	}
	if value, ok := tags[name]; ok {
		return value, true, nil
	}
	for _, other := range slices.Sorted(maps.Keys(tags)) {
		if strings.EqualFold(other, name) {
			return tags[other], true, nil
		}
	}
	return "", false, nil
}
