package admin

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
)

func TestTheLifeOfAKey(t *testing.T) {
	r, root, _, _ := newRig(t, nil)
	bob := r.created(root, `{"User":"bob"}`)
	if got := r.code(bob, "GET access-keys"); got != "AccessDenied" {
		t.Errorf("a new key: %s, want it to work and be allowed nothing", got)
	}
	if status, text := r.do(root, "GET access-keys"); status != 200 || !strings.Contains(text, bob.AccessKeyID) || strings.Contains(text, "Secret") {
		t.Errorf("list: %d %s", status, text)
	}
	status, text := r.do(root, "POST access-keys/"+bob.AccessKeyID+"/rotate")
	var next accessKey
	if err := json.Unmarshal([]byte(text), &next); err != nil || status != 200 || next.User != "bob" || next.Account != owner || next.SecretAccessKey == "" {
		t.Fatalf("rotate: %d %s", status, text)
	}
	if got := r.code(bob, "GET access-keys"); got != "AuthenticationFailed" {
		t.Errorf("the old key: %s", got)
	}
	if got := r.code(root, "DELETE access-keys/"+next.AccessKeyID); got != "No Content" {
		t.Errorf("delete: %s", got)
	}
	if got := r.code(root, "DELETE access-keys/"+next.AccessKeyID); got != "NotFound" {
		t.Errorf("delete again: %s", got)
	}
	temporary := r.created(root, `{"User":"bob","ExpiresInSeconds":3600}`)
	if got := r.code(temporary, "GET access-keys"); got != "AccessDenied" || temporary.SessionToken.IsEmpty() {
		t.Errorf("a temporary key: %s", got)
	}
	public := r.created(root, `{"User":"bob","PublicKeyOnly":true}`)
	if got := r.code(public, "GET access-keys"); got != "AuthenticationFailed" {
		t.Errorf("SigV4 with a key of which only the public half is stored: %s", got)
	}
}

func TestTheLifeOfAPolicy(t *testing.T) {
	r, root, _, ann := newRig(t, nil)
	const document = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"popkv:List*","Resource":"*"}]}`
	if got := r.code(root, "PUT users/ann/policies/reads "+document); got != "No Content" {
		t.Fatalf("put: %s", got)
	}
	for line, want := range map[string]string{
		"GET users/ann/policies":       `{"PolicyNames":["reads"]}`,
		"GET users/ann/policies/reads": document,
		"GET users/nobody/policies":    `{"PolicyNames":[]}`,
	} {
		if status, text := r.do(root, line); status != 200 || text != want {
			t.Errorf("%s: %d %s", line, status, text)
		}
	}
	if got := r.code(ann, "GET access-keys"); got != "OK" {
		t.Errorf("the policy does not work: %s", got)
	}
	question := `{"User":"ann","Action":"popkv:ListPolicies","Resource":"arn:aws:iam::111111111111:user/ann"}`
	if status, text := r.do(root, "POST simulate "+question); status != 200 || !strings.HasPrefix(text, `{"Allowed":true,`) {
		t.Errorf("simulate: %d %s", status, text)
	}
	if got := r.code(root, "DELETE users/ann/policies/reads"); got != "No Content" {
		t.Errorf("delete: %s", got)
	}
	if got := r.code(ann, "GET access-keys"); got != "AccessDenied" {
		t.Errorf("after the policy is gone: %s", got)
	}
	for _, line := range []string{"GET users/ann/policies/reads", "DELETE users/ann/policies/reads"} {
		if got := r.code(root, line); got != "NotFound" {
			t.Errorf("%s: %s", line, got)
		}
	}
}

const someDocument = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`

// What ann may do depends on her one policy; nothing lets her touch root.
func TestPoliciesDecideWhatAUserMayManage(t *testing.T) {
	const all = `{"Effect":"Allow","Action":"popkv:*","Resource":"*"}`
	bobOnly := `{"Effect":"Allow","Action":"popkv:*","Resource":"arn:aws:iam::` + owner + `:user/bob"}`
	cases := []struct {
		name, statements, line, want string
	}{
		{"no policy", "", "GET access-keys", "AccessDenied"},
		{"a policy for another service", `{"Effect":"Allow","Action":"cloudfront:*","Resource":"*"}`, "GET access-keys", "AccessDenied"},
		{"everything", all, "GET access-keys", "OK"},
		{"one action", `{"Effect":"Allow","Action":"popkv:ListAccessKeys","Resource":"*"}`, "GET access-keys", "OK"},
		{"another action", `{"Effect":"Allow","Action":"popkv:ListAccessKeys","Resource":"*"}`, `POST access-keys {"User":"ann"}`, "AccessDenied"},
		{"a denial wins", all + `,{"Effect":"Deny","Action":"popkv:CreateAccessKey","Resource":"*"}`, `POST access-keys {"User":"bob"}`, "AccessDenied"},

		{"a key for anyone", all, `POST access-keys {"User":"bob"}`, "OK"},
		{"a root key", all, `POST access-keys {"User":"root"}`, "AccessDenied"},
		{"a root key of another account", all, `POST access-keys {"Account":"` + tenant + `","User":"root"}`, "AccessDenied"},
		{"a key in another account", all, `POST access-keys {"Account":"` + tenant + `","User":"bob"}`, "AccessDenied"},
		{"a key for whom the policy names", bobOnly, `POST access-keys {"User":"bob"}`, "OK"},
		{"a key for whom it does not", bobOnly, `POST access-keys {"User":"ann"}`, "AccessDenied"},
		{"a key for a pattern of users", bobOnly, `POST access-keys {"User":"*"}`, "AccessDenied"},
		{"a key with a user that is no name", all, `POST access-keys {"User":"a/b"}`, "Invalid"},

		{"root's key is not removed", all, "DELETE access-keys/ROOT", "AccessDenied"},
		{"nor rotated", all, "POST access-keys/ROOT/rotate", "AccessDenied"},
		{"another account's key looks like none", all, "DELETE access-keys/TENANT", "NotFound"},
		{"and is not rotated", all, "POST access-keys/TENANT/rotate", "NotFound"},
		{"bob's key", bobOnly, "DELETE access-keys/BOB", "No Content"},
		{"her own key", all, "POST access-keys/ANN/rotate", "OK"},
		{"her own key without permission", bobOnly, "POST access-keys/ANN/rotate", "AccessDenied"},
		{"whether a key exists is not told to everyone", bobOnly, "DELETE access-keys/AKIANONE", "AccessDenied"},

		{"a policy of bob", bobOnly, `PUT users/bob/policies/p DOCUMENT`, "No Content"},
		{"her own policy", bobOnly, `PUT users/ann/policies/p DOCUMENT`, "AccessDenied"},
		{"a policy of root", all, `PUT users/root/policies/p DOCUMENT`, "Invalid"},
		{"simulate bob", bobOnly, `POST simulate {"User":"bob","Action":"s3:GetObject","Resource":"*"}`, "OK"},
		{"simulate herself", bobOnly, `POST simulate {"User":"ann","Action":"s3:GetObject","Resource":"*"}`, "AccessDenied"},

		{"verify", all, "POST verify", "OK"},
		{"verify is not about bob", bobOnly, "POST verify", "AccessDenied"},
		{"a backup", all, "GET backup", "OK"},
		{"a backup needs its action", `{"Effect":"Allow","Action":"popkv:Verify","Resource":"*"}`, "GET backup", "AccessDenied"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r, root, tenantRoot, ann := newRig(t, nil)
			bob := r.key(owner, "bob")
			if c.statements != "" {
				r.allow(`{"Version":"2012-10-17","Statement":[` + c.statements + `]}`)
			}
			line := strings.NewReplacer("ROOT", root.AccessKeyID, "TENANT", tenantRoot.AccessKeyID, "ANN", ann.AccessKeyID, "BOB", bob.AccessKeyID, "DOCUMENT", someDocument).Replace(c.line)
			if got := r.code(ann, line); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := r.code(root, "GET access-keys"); got != "OK" {
				t.Errorf("root's key afterwards: %s", got)
			}
			if got := r.code(tenantRoot, "GET access-keys"); got != "OK" {
				t.Errorf("the other account's key afterwards: %s", got)
			}
		})
	}
}

func TestTheOwnersRootManagesOtherAccounts(t *testing.T) {
	r, root, tenantRoot, ann := newRig(t, nil)
	guest := r.created(root, `{"Account":"`+tenant+`","User":"guest"}`)
	accounts := func(by access.Credentials) (found []string) {
		_, text := r.do(by, "GET access-keys")
		var list struct{ AccessKeys []accessKey }
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			t.Fatal(err, text)
		}
		for _, k := range list.AccessKeys {
			found = append(found, k.Account+" "+k.User)
		}
		return found
	}
	mine, theirs := []string{owner + " ann", owner + " root"}, []string{tenant + " guest", tenant + " root"}
	if diff := cmp.Diff(slices.Concat(mine, theirs), accounts(root)); diff != "" {
		t.Error("the owner's root sees", diff)
	}
	if diff := cmp.Diff(theirs, accounts(tenantRoot)); diff != "" {
		t.Error("another account's root sees", diff)
	}
	for _, c := range []struct {
		name, line, want string
		by               access.Credentials
	}{
		{"the other root makes no key here", `POST access-keys {"Account":"` + owner + `","User":"x"}`, "AccessDenied", tenantRoot},
		{"nor removes one", "DELETE access-keys/" + ann.AccessKeyID, "NotFound", tenantRoot},
		{"nor verifies everyone's data", "POST verify", "AccessDenied", tenantRoot},
		{"nor backs it up", "GET backup", "AccessDenied", tenantRoot},
		{"its policies are on its own users", "PUT users/ann/policies/p " + someDocument, "No Content", tenantRoot},
		{"which leaves ann's alone", "GET users/ann/policies/p", "NotFound", root},
		{"the owner's root rotates the guest's key", "POST access-keys/" + guest.AccessKeyID + "/rotate", "OK", root},
		{"and removes the other root's", "DELETE access-keys/" + tenantRoot.AccessKeyID, "No Content", root},
		{"which then signs no more", "GET access-keys", "AuthenticationFailed", tenantRoot},
	} {
		if got := r.code(c.by, c.line); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestRequestsThatCannotBeUnderstood(t *testing.T) {
	r, root, _, _ := newRig(t, nil)
	for line, want := range map[string]string{
		"GET nothing":                                           "UnknownOperation",
		"PATCH access-keys":                                     "UnknownOperation",
		"GET access-keys/":                                      "UnknownOperation",
		"GET users//policies":                                   "UnknownOperation",
		"GET users/ann/policies/":                               "UnknownOperation",
		"GET users/../policies":                                 "UnknownOperation",
		"POST access-keys":                                      "Malformed",
		"POST access-keys {":                                    "Malformed",
		"POST access-keys []":                                   "Malformed",
		`POST access-keys {"user":"bob"}`:                       "Malformed", // names are exact
		`POST access-keys {"User":"bob","User":"root"}`:         "Malformed",
		`POST access-keys {"User":"bob"} x`:                     "Malformed",
		`POST access-keys {"User":7}`:                           "Malformed",
		`POST access-keys {"User":""}`:                          "Invalid",
		`POST access-keys {"Account":"1","User":"bob"}`:         "Invalid",
		`POST access-keys {"User":"bob","ExpiresInSeconds":-1}`: "Invalid",
		`POST access-keys {"User":"bob","ExpiresInSeconds":9999999999999}`: "Invalid",
		"PUT users/ann/policies/p":                                             "Invalid",
		`PUT users/ann/policies/p {"Statement":"x"}`:                           "Invalid",
		"PUT users/ann/policies/" + url.PathEscape("a/b") + " " + someDocument: "Invalid",
		`POST simulate {"User":"ann","Action":"x","Resource":"*"}`:             "Invalid",
		"PUT users/ann/policies/p " + strings.Repeat(" ", maxBody+1):           "TooLarge",
	} {
		if got := r.code(root, line); got != want {
			t.Errorf("%.60s: got %s, want %s", line, got, want)
		}
	}
}

func TestObservationsNameTheOperationOrNothing(t *testing.T) {
	r, root, _, ann := newRig(t, nil)
	for _, line := range []string{"GET access-keys", "GET no/such/path"} {
		r.do(root, line)
		r.do(ann, line)
		r.do(access.Credentials{AccessKeyID: "AKIANONE", Secret: popkv.NewSecret("x")}, line)
	}
	var got []string
	for _, o := range r.seen {
		got = append(got, fmt.Sprintf("%s by %s: %d, error %v", o.Operation, o.Caller.User, o.Status, o.Err != nil))
		if o.RequestID == "" || o.Duration < 0 {
			t.Errorf("%+v", o)
		}
	}
	want := []string{
		"ListAccessKeys by root: 200, error false", "ListAccessKeys by ann: 403, error true", " by : 403, error true",
		" by root: 404, error true", " by ann: 404, error true", " by : 403, error true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
