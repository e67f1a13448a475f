package access

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/popkv/popkv"
)

// A Policy is an AWS policy document, read and checked. It has statements with
// Effect, Action or NotAction, Resource or NotResource, and Condition; what it
// has beyond that is refused rather than ignored.
//
// Source: IAM JSON policy elements reference (documented).
type Policy struct {
	statements []statement
}

type statement struct {
	name         string // Sid, or the number from 1
	deny         bool
	actions      []string // lower case
	notActions   bool
	resources    []string
	notResources bool
	conditions   []condition
}

// The document as it is written. A member may be one thing or a list of them.
type (
	documentJSON struct {
		Version   string
		ID        string `json:"Id"`
		Statement oneOrMany[statementJSON]
	}
	statementJSON struct {
		Sid         string
		Effect      string
		Action      oneOrMany[string]
		NotAction   oneOrMany[string]
		Resource    oneOrMany[string]
		NotResource oneOrMany[string]
		Condition   block[block[oneOrMany[scalar]]]
	}
)

// A block is an object that must not be null: a condition that says nothing
// would hold for everyone.
type block[T any] map[string]T

// UnmarshalJSONFrom reads an object.
func (b *block[T]) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	if in.PeekKind() == 'n' {
		return fmt.Errorf("null is no condition: leave it out")
	}
	return json.UnmarshalDecode(in, (*map[string]T)(b))
}

type oneOrMany[T any] []T

// UnmarshalJSONFrom reads one value or an array of them.
func (l *oneOrMany[T]) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	if in.PeekKind() == '[' {
		return json.UnmarshalDecode(in, (*[]T)(l))
	}
	var one T
	err := json.UnmarshalDecode(in, &one)
	*l = oneOrMany[T]{one}
	return err
}

// A scalar is a condition's value; true and 5 are taken as "true" and "5".
type scalar string

// UnmarshalJSONFrom reads a string, a boolean or a number.
func (s *scalar) UnmarshalJSONFrom(in *jsontext.Decoder) error {
	token, err := in.ReadToken()
	if err != nil {
		return err
	}
	switch token.Kind() {
	case '"', 't', 'f', '0':
		*s = scalar(token.String())
		return nil
	}
	return fmt.Errorf("a value must be a string, a number or a boolean")
}

// ParsePolicy reads a policy document. What breaks a rule fails with
// [popkv.Invalid], saying where.
func ParsePolicy(document []byte) (*Policy, error) {
	if len(document) > maxPolicyBytes {
		return nil, popkv.Errorf(popkv.Invalid, "policy: longer than %d bytes", maxPolicyBytes)
	}
	var d documentJSON
	if err := json.Unmarshal(bytes.TrimSpace(document), &d, json.RejectUnknownMembers(true)); err != nil {
		return nil, popkv.Errorf(popkv.Invalid, "policy: %s", jsonProblem(err))
	}
	if d.Version != "2012-10-17" && d.Version != "2008-10-17" {
		return nil, popkv.Errorf(popkv.Invalid, `policy: Version must be "2012-10-17"`)
	}
	if len(d.Statement) == 0 {
		return nil, popkv.Errorf(popkv.Invalid, "policy: there is no Statement")
	}
	p := &Policy{}
	for i, s := range d.Statement {
		compiled, err := s.compile(i + 1)
		if err != nil {
			where := fmt.Sprintf("statement %d", i+1)
			if s.Sid != "" {
				where += " (" + s.Sid + ")"
			}
			return nil, popkv.Errorf(popkv.Invalid, "policy: %s: %s", where, err)
		}
		if s.Sid != "" && slices.ContainsFunc(d.Statement[:i], func(other statementJSON) bool { return other.Sid == s.Sid }) {
			return nil, popkv.Errorf(popkv.Invalid, "policy: statement %d: its Sid is taken", i+1)
		}
		p.statements = append(p.statements, compiled)
	}
	return p, nil
}

// jsonProblem shortens a decoder's error to what a person needs: where, and
// what is wrong there, without the types that it would have been read into.
func jsonProblem(err error) string {
	var misfit *json.SemanticError
	if errors.As(err, &misfit) {
		where := "" // the document itself
		if misfit.JSONPointer != "" {
			where = string(misfit.JSONPointer) + ": "
		}
		switch {
		case errors.Is(misfit.Err, json.ErrUnknownName):
			return where + "this member is not known here"
		case misfit.Err != nil:
			return where + misfit.Err.Error()
		}
		return where + kindOf(misfit.JSONKind) + " does not belong here"
	}
	text := err.Error()
	for _, prefix := range []string{"json: ", "jsontext: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	text, _, _ = strings.Cut(text, "\n")
	return text
}

func kindOf(k jsontext.Kind) string {
	switch k {
	case '[':
		return "a list"
	case '{':
		return "an object"
	case '"':
		return "a string"
	case '0':
		return "a number"
	}
	return k.String() // null, true, false
}

func (s *statementJSON) compile(number int) (out statement, err error) {
	out.name = fmt.Sprint(number)
	if s.Sid != "" {
		if !validSid(s.Sid) {
			return out, fmt.Errorf("a Sid is letters and digits")
		}
		out.name = s.Sid
	}
	switch s.Effect {
	case "Allow":
	case "Deny":
		out.deny = true
	default:
		return out, fmt.Errorf("Effect must be Allow or Deny")
	}
	if out.actions, out.notActions, err = oneOf("Action", s.Action, s.NotAction); err != nil {
		return out, err
	}
	if out.resources, out.notResources, err = oneOf("Resource", s.Resource, s.NotResource); err != nil {
		return out, err
	}
	for i, action := range out.actions {
		if !validAction(action) {
			return out, fmt.Errorf("action %q: write * or SERVICE:NAME, with * and ? in the name only", action)
		}
		out.actions[i] = strings.ToLower(action)
	}
	for _, resource := range out.resources {
		if strings.Contains(resource, "${") {
			return out, fmt.Errorf("resource %q: policy variables are not supported", resource)
		}
		if resource != "*" && (!strings.HasPrefix(resource, "arn:") || strings.Count(resource, ":") < 5) {
			return out, fmt.Errorf("resource %q: write * or an ARN with all its six parts, like arn:aws:cloudfront::123456789012:key-value-store/*", resource)
		}
	}
	out.conditions, err = compileConditions(s.Condition)
	return out, err
}

// oneOf returns the one of NAME and NotNAME that is there.
func oneOf(name string, is, not oneOrMany[string]) (list []string, negated bool, err error) {
	switch {
	case is != nil && not != nil:
		return nil, false, fmt.Errorf("%s and Not%s exclude each other", name, name)
	case len(is) > 0:
		return is, false, nil
	case len(not) > 0:
		return not, true, nil
	}
	return nil, false, fmt.Errorf("there is neither %s nor Not%s, or it is empty", name, name)
}

func validSid(sid string) bool {
	for i := range len(sid) {
		if c := sid[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return true
}

func validAction(action string) bool {
	if action == "*" {
		return true
	}
	service, name, ok := strings.Cut(action, ":")
	return ok && service != "" && name != "" &&
		strings.Trim(service, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == "" &&
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789*?") == ""
}

// applies reports whether the statement speaks of this action and resource.
func (s *statement) applies(action, resource string) bool {
	return slices.ContainsFunc(s.actions, func(p string) bool { return glob(p, action) }) != s.notActions &&
		slices.ContainsFunc(s.resources, func(p string) bool { return globARN(p, resource) }) != s.notResources
}

// globARN matches part by part: in a pattern a wildcard stays within its part
// of the ARN, except in the last one.
func globARN(pattern, arn string) bool {
	if pattern == "*" {
		return true
	}
	for range 5 {
		head, tail, _ := strings.Cut(pattern, ":")
		have, rest, ok := strings.Cut(arn, ":")
		if !ok || !glob(head, have) {
			return false
		}
		pattern, arn = tail, rest
	}
	return glob(pattern, arn)
}

// glob matches s against a pattern in which * is any run of characters and ?
// any one. It takes time proportional to the product of the lengths at most.
func glob(pattern, s string) bool {
	star, resume := -1, 0 // after the last star, and where its run ends
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			p++
			star, resume = p, i
		case p < len(pattern) && pattern[p] == '?':
			_, width := utf8.DecodeRuneInString(s[i:])
			p, i = p+1, i+width
		case p < len(pattern) && pattern[p] == s[i]:
			p, i = p+1, i+1
		case star >= 0:
			resume++
			p, i = star, resume
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// accountOf returns the account part of an ARN, "" if there is none.
func accountOf(arn string) string {
	if parts := strings.SplitN(arn, ":", 6); len(parts) == 6 {
		return parts[4]
	}
	return ""
}
