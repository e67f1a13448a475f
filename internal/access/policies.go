package access

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// Bounds of policies (assumed; AWS bounds a user's inline policies at 2,048
// characters in all and its managed ones at 6,144 each).
const (
	maxPolicyBytes     = 10 << 10
	maxPoliciesPerUser = 50
)

// PolicyInfo is one policy of a user.
type PolicyInfo struct {
	Name     string    `json:"name"`
	Updated  time.Time `json:"updated"`
	Document string    `json:"document"` // as it was put
}

// PutPolicy stores a policy of a user, or replaces the one of that name; when
// it returns nil the policy is on disk and in force. A document that breaks a
// rule fails with [popkv.Invalid] and says where.
func (d *Directory) PutPolicy(ctx context.Context, account, user, name string, document []byte) error {
	if err := validPolicyOwner(account, user, name); err != nil {
		return err
	}
	policy, err := ParsePolicy(document)
	if err != nil {
		return err
	}
	r := policyRecord{
		Account: account, User: user, Name: name, Document: string(document),
		Updated: d.o.Now().UTC().Truncate(time.Millisecond),
	}
	existing := d.current.Load().policies[r.owner()]
	if _, replaces := existing[name]; !replaces && len(existing) >= maxPoliciesPerUser {
		return popkv.Errorf(popkv.Invalid, "a user has at most %d policies", maxPoliciesPerUser)
	}
	key := journal.PolicyKey(account, user, name)
	return d.change(ctx, func(tx *journal.Tx) error {
		tx.Put(key, encodeRecord(r))
		return nil
	}, func(next *state) {
		if next.policies[r.owner()] == nil {
			next.policies[r.owner()] = map[string]*userPolicy{}
		}
		next.policies[r.owner()][name] = &userPolicy{r, policy}
	})
}

// validPolicyOwner also refuses policies on root, which none of them would
// bind.
func validPolicyOwner(account, user, name string) error {
	if err := validOwner(account, user); err != nil {
		return err
	}
	if user == popkv.RootUser {
		return popkv.Errorf(popkv.Invalid, "root may do everything in its account: policies are put on other users")
	}
	if !validName(name, 128) {
		return popkv.Errorf(popkv.Invalid, "a policy name is 1 to 128 letters, digits and +=,.@_-")
	}
	return nil
}

// Policy returns one policy of a user.
func (d *Directory) Policy(account, user, name string) (PolicyInfo, error) {
	p := d.current.Load().policies[owner{account, user}][name]
	if p == nil {
		return PolicyInfo{}, noSuchPolicy()
	}
	return PolicyInfo{Name: p.record.Name, Updated: p.record.Updated, Document: p.record.Document}, nil
}

func noSuchPolicy() error {
	return popkv.Errorf(popkv.ResourceNotFound, "the user has no policy of that name")
}

// Policies returns the policies of a user, sorted by name.
func (d *Directory) Policies(account, user string) []PolicyInfo {
	policies := d.current.Load().policies[owner{account, user}]
	all := make([]PolicyInfo, 0, len(policies))
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		r := policies[name].record
		all = append(all, PolicyInfo{Name: r.Name, Updated: r.Updated, Document: r.Document})
	}
	return all
}

// RemovePolicy deletes a policy of a user.
func (d *Directory) RemovePolicy(ctx context.Context, account, user, name string) error {
	if _, err := d.Policy(account, user, name); err != nil {
		return err
	}
	key := journal.PolicyKey(account, user, name)
	return d.change(ctx, func(tx *journal.Tx) error {
		if _, found, err := tx.Get(key); err != nil {
			return err
		} else if !found {
			return noSuchPolicy()
		}
		tx.Delete(key)
		return nil
	}, func(next *state) {
		delete(next.policies[owner{account, user}], name)
	})
}
