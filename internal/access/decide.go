package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/popkv/popkv"
)

// A Decision is an answer of the policies, and what it rests on.
type Decision struct {
	Allowed   bool   `json:"allowed"`
	Explicit  bool   `json:"explicit"`            // some statement decided, not the lack of one
	Policy    string `json:"policy,omitempty"`    // that decided
	Statement string `json:"statement,omitempty"` // its Sid, or its number from 1
	Reason    string `json:"reason"`              // for people
}

// Decide says whether the caller may perform action on the resource, and why.
// It fails only if a policy needs the resource's tags and they cannot be read.
//
// Root may do everything in its account. Others may do what some statement
// allows and none denies. Nobody may do anything to a resource of another
// account.
func (d *Directory) Decide(caller popkv.Caller, action, resource string, c Conditions) (Decision, error) {
	if account := accountOf(resource); account != "" && account != caller.Account {
		return Decision{Reason: "the resource belongs to another account"}, nil
	}
	if caller.IsRoot() {
		return Decision{Allowed: true, Reason: "root may do everything in its account"}, nil
	}
	c.caller = caller
	q := question{action: action, resource: resource, conditions: &c}
	policies := d.current.Load().policies[owner{caller.Account, caller.User}]
	return q.decide(policies)
}

// Simulate is Decide for a user who is not there: given holds condition keys
// and their values as a policy would name them, tags of the resource included.
// The time is the present, unless it is given. An unknown key or a value that
// cannot be read fails with [popkv.Invalid].
func (d *Directory) Simulate(account, user, action, resource string, given map[string]string) (Decision, error) {
	if err := validOwner(account, user); err != nil {
		return Decision{}, err
	}
	if !validAction(action) || strings.ContainsAny(action, "*?") {
		return Decision{}, popkv.Errorf(popkv.Invalid, "an action is SERVICE:NAME, like cloudfront-keyvaluestore:GetKey")
	}
	c := Conditions{Time: d.o.Now(), SecureTransport: true}
	tags := map[string]string{}
	for key, value := range given {
		if name, ok := tagName(key); ok {
			tags[name] = value
		} else if err := c.set(key, value); err != nil {
			return Decision{}, popkv.Errorf(popkv.Invalid, "condition key %s: %s", key, err)
		}
	}
	c.Tags = func() (map[string]string, error) { return tags, nil }
	return d.Decide(popkv.Caller{Account: account, User: user}, action, resource, c)
}

// A question is put to all policies of one user.
type question struct {
	action, resource string
	conditions       *Conditions
}

// decide looks for a statement that denies, then for one that allows. A
// condition that cannot be evaluated decides nothing: it is an error.
func (q *question) decide(policies map[string]*userPolicy) (Decision, error) {
	allowed := Decision{Reason: "no statement allows the action on the resource"}
	if len(policies) == 0 {
		allowed.Reason = "the user has no policy"
	}
	action := strings.ToLower(q.action)
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		for _, s := range policies[name].policy.statements {
			if !s.deny && allowed.Allowed || !s.applies(action, q.resource) {
				continue
			}
			holds, err := s.holds(q.conditions)
			if err != nil {
				return Decision{Reason: "a condition could not be evaluated"}, err
			}
			if !holds {
				continue
			}
			verb := "allows"
			if s.deny {
				verb = "denies"
			}
			decision := Decision{
				Allowed: !s.deny, Explicit: true, Policy: name, Statement: s.name,
				Reason: fmt.Sprintf("statement %s of policy %s %s it", s.name, name, verb),
			}
			if s.deny {
				return decision, nil
			}
			allowed = decision
		}
	}
	return allowed, nil
}

func (s *statement) holds(conditions *Conditions) (bool, error) {
	for i := range s.conditions {
		if holds, err := s.conditions[i].holds(conditions); !holds || err != nil {
			return false, err
		}
	}
	return true, nil
}
