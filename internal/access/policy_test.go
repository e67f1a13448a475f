package access

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/popkv/popkv"
)

// statementWith wraps one statement into a document.
func statementWith(members string) string {
	return `{"Version":"2012-10-17","Statement":[{` + members + `}]}`
}

func TestPoliciesThatBreakARuleAreRefusedWithTheReason(t *testing.T) {
	const ok = `"Effect":"Allow","Action":"*","Resource":"*"`
	for _, c := range []struct{ document, want string }{
		{``, "policy: "},
		{`[]`, "policy: "},
		{`{"Version":"2012-10-17"}`, "there is no Statement"},
		{`{"Version":"2012-10-17","Statement":[]}`, "there is no Statement"},
		{`{"Statement":{` + ok + `}}`, "Version must be"},
		{`{"Version":"2013-01-01","Statement":{` + ok + `}}`, "Version must be"},
		{`{"version":"2012-10-17","Statement":{` + ok + `}}`, "/version: this member is not known"},
		{`{"Version":"2012-10-17","Version":"2012-10-17","Statement":{` + ok + `}}`, "duplicate"},
		{statementWith(ok + `,"Principal":"*"`), "policy: /Statement/0/Principal: this member is not known here"},
		{statementWith(ok + `,"effect":"Deny"`), "effect"},
		{statementWith(`"Effect":"allow","Action":"*","Resource":"*"`), "Effect must be"},
		{statementWith(`"Effect":"Allow","Resource":"*"`), "neither Action nor NotAction"},
		{statementWith(`"Effect":"Allow","Action":[],"Resource":"*"`), "neither Action nor NotAction"},
		{statementWith(`"Effect":"Allow","Action":"*"`), "neither Resource nor NotResource"},
		{statementWith(`"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"`), "exclude each other"},
		{statementWith(`"Effect":"Allow","Action":"*","Resource":"*","NotResource":[]`), "exclude each other"},
		{statementWith(`"Sid":"S1","Effect":"Allow","Action":"GetKey","Resource":"*"`), `statement 1 (S1): action "GetKey"`},
		{statementWith(`"Effect":"Allow","Action":"cloud*:GetKey","Resource":"*"`), "action"},
		{statementWith(`"Effect":"Allow","Action":"s3:Get Object","Resource":"*"`), "action"},
		{statementWith(`"Effect":"Allow","Action":"*","Resource":"bucket"`), "six parts"},
		{statementWith(`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:*"`), "six parts"},
		{statementWith(`"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:username}/*"`), "policy variables"},
		{statementWith(`"Effect":"Allow","Action":5,"Resource":"*"`), "policy: "},
		{statementWith(`"Sid":"a b",` + ok), "Sid"},
		{`{"Version":"2012-10-17","Statement":[{"Sid":"A",` + ok + `},{"Sid":"A",` + ok + `}]}`, "taken"},
		{statementWith(ok + `,"Condition":{"StringEquals":{"aws:nonsense":"x"}}`), "not known"},
		{statementWith(ok + `,"Condition":{"StringEquals":{"aws:ResourceTag/":"x"}}`), "not known"},
		{statementWith(ok + `,"Condition":{"ArnLike":{"aws:PrincipalArn":"x"}}`), "not supported"},
		{statementWith(ok + `,"Condition":{"stringequals":{"aws:username":"x"}}`), "not supported"},
		{statementWith(ok + `,"Condition":{"ForAnyValue:StringEquals":{"aws:username":"x"}}`), "ForAnyValue"},
		{statementWith(ok + `,"Condition":{"NullIfExists":{"aws:username":"true"}}`), "IfExists"},
		{statementWith(ok + `,"Condition":{"StringEquals":{"aws:username":[]}}`), "no value"},
		{statementWith(ok + `,"Condition":{"StringEquals":{"aws:username":{}}}`), "policy: "},
		{statementWith(ok + `,"Condition":null`), "policy: /Statement/0/Condition: null is no condition"},
		{statementWith(ok + `,"Condition":[]`), "policy: /Statement/0/Condition: a list does not belong here"},
		{statementWith(ok + `,"Condition":{"StringEquals":null}`), "null is no condition"},
		{statementWith(ok + `,"Condition":{"StringEquals":{}}`), "condition StringEquals: there is no key"},
		{statementWith(ok + `,"Condition":{"StringEqualz":{}}`), "condition StringEqualz: there is no key"},
		{statementWith(ok + `,"Condition":{"StringEquals":{"aws:username":[null]}}`), "policy: /Statement/0/Condition/StringEquals/aws:username/0: a value must be"},
		{statementWith(ok + `,"Condition":{"StringEquals":{"aws:username":"${aws:username}"}}`), "policy variables"},
		{statementWith(ok + `,"Condition":{"Bool":{"aws:SecureTransport":"yes"}}`), "true or false"},
		{statementWith(ok + `,"Condition":{"Bool":{"aws:username":"true"}}`), "another key"},
		{statementWith(ok + `,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}`), "network"},
		{statementWith(ok + `,"Condition":{"IpAddress":{"aws:username":"10.0.0.0/8"}}`), "another key"},
		{statementWith(ok + `,"Condition":{"DateLessThan":{"aws:CurrentTime":"tomorrow"}}`), "date"},
		{statementWith(ok + `,"Condition":{"DateLessThan":{"aws:SourceIp":"2026-01-01"}}`), "another key"},
		{statementWith(ok + strings.Repeat(" ", maxPolicyBytes)), "longer than"},
	} {
		_, err := ParsePolicy([]byte(c.document))
		if popkv.KindOf(err) != popkv.Invalid || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.120s\n\t%v; want Invalid and %q", c.document, err, c.want)
		}
	}
}

// A statement without a Sid goes by its number, which may be another's Sid.
func TestASidMayBeANumber(t *testing.T) {
	const ok = `"Effect":"Allow","Action":"*","Resource":"*"`
	if _, err := ParsePolicy([]byte(`{"Version":"2012-10-17","Statement":[{"Sid":"2",` + ok + `},{` + ok + `}]}`)); err != nil {
		t.Error(err)
	}
}

const (
	get = "cloudfront-keyvaluestore:GetKey"
	put = "cloudfront-keyvaluestore:PutKey"
)

func TestStatements(t *testing.T) {
	const otherARN = "arn:aws:cloudfront::123456789012:key-value-store/8aa76c93-3198-462c-aaf6-000000000002"
	for _, c := range []struct {
		name, members    string
		action, resource string
		want             bool
	}{
		{"everything", `"Effect":"Allow","Action":"*","Resource":"*"`, get, storeARN, true},
		{"this action", `"Effect":"Allow","Action":"cloudfront-keyvaluestore:GetKey","Resource":"*"`, get, storeARN, true},
		{"another action", `"Effect":"Allow","Action":"cloudfront-keyvaluestore:GetKey","Resource":"*"`, put, storeARN, false},
		{"actions in any case", `"Effect":"Allow","Action":"CLOUDFRONT-KEYVALUESTORE:getkey","Resource":"*"`, get, storeARN, true},
		{"actions by wildcard", `"Effect":"Allow","Action":["s3:*","cloudfront-keyvaluestore:?et*"],"Resource":"*"`, get, storeARN, true},
		{"another service's wildcard", `"Effect":"Allow","Action":"cloudfront:*","Resource":"*"`, get, storeARN, false},
		{"all but this action", `"Effect":"Allow","NotAction":"cloudfront-keyvaluestore:GetKey","Resource":"*"`, get, storeARN, false},
		{"all but another", `"Effect":"Allow","NotAction":["s3:*","cloudfront-keyvaluestore:PutKey"],"Resource":"*"`, get, storeARN, true},
		{"this store", `"Effect":"Allow","Action":"*","Resource":"` + storeARN + `"`, get, storeARN, true},
		{"another store", `"Effect":"Allow","Action":"*","Resource":"` + storeARN + `"`, get, otherARN, false},
		{"stores by wildcard", `"Effect":"Allow","Action":"*","Resource":"arn:aws:cloudfront::*:key-value-store/*"`, get, storeARN, true},
		{"resources are case sensitive", `"Effect":"Allow","Action":"*","Resource":"arn:aws:cloudfront::123456789012:KEY-VALUE-STORE/*"`, get, storeARN, false},
		{"a wildcard stays in its part", `"Effect":"Allow","Action":"*","Resource":"arn:aws:*::key-value-store/*:x:*"`, get, storeARN, false},
		{"an ARN does not match *", `"Effect":"Allow","Action":"*","Resource":"arn:*:*:*:*:*"`, get, "*", false},
		{"all but this store", `"Effect":"Allow","Action":"*","NotResource":"` + storeARN + `"`, get, storeARN, false},
		{"all but another store", `"Effect":"Allow","Action":"*","NotResource":"` + storeARN + `"`, get, otherARN, true},
		{"denied", `"Effect":"Deny","Action":"*","Resource":"*"`, get, storeARN, false},
		{"an object in S3", `"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*"`, "s3:GetObject", "arn:aws:s3:::bucket/a/b:c.json", true},
	} {
		w := newWorld(t)
		w.put("ann", "p", statementWith(c.members))
		got, err := w.Decide(popkv.Caller{Account: account, User: "ann"}, c.action, c.resource, Conditions{})
		if err != nil || got.Allowed != c.want {
			t.Errorf("%s: %+v, %v; want allowed %v", c.name, got, err, c.want)
		}
	}
}

func TestDenyWinsWhereverItStandsAndNothingIsAllowedByDefault(t *testing.T) {
	const allow = `"Effect":"Allow","Action":"*","Resource":"*"`
	const deny = `"Sid":"NoWrites","Effect":"Deny","Action":"cloudfront-keyvaluestore:Put*","Resource":"*"`
	ann := popkv.Caller{Account: account, User: "ann"}
	for _, names := range [][2]string{{"a", "b"}, {"b", "a"}} {
		w := newWorld(t)
		if got, _ := w.Decide(ann, get, storeARN, Conditions{}); got.Allowed || got.Explicit {
			t.Errorf("without policies: %+v", got)
		}
		w.put("ann", names[0], statementWith(allow))
		w.put("ann", names[1], statementWith(deny))
		want := Decision{Explicit: true, Policy: names[1], Statement: "NoWrites", Reason: "statement NoWrites of policy " + names[1] + " denies it"}
		got, err := w.Decide(ann, put, storeARN, Conditions{})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("denied (-want +got), %v:\n%s", err, diff)
		}
		want = Decision{Allowed: true, Explicit: true, Policy: names[0], Statement: "1", Reason: "statement 1 of policy " + names[0] + " allows it"}
		got, err = w.Decide(ann, get, storeARN, Conditions{})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("allowed (-want +got), %v:\n%s", err, diff)
		}
		for who, c := range map[string]struct {
			caller popkv.Caller
			want   bool
		}{
			"root":                     {popkv.Caller{Account: account, User: popkv.RootUser}, true},
			"root of another account":  {popkv.Caller{Account: "999999999999", User: popkv.RootUser}, false},
			"ann of another account":   {popkv.Caller{Account: "999999999999", User: "ann"}, false},
			"a user without a policy":  {popkv.Caller{Account: account, User: "bob"}, false},
			"a user named like a path": {popkv.Caller{Account: account, User: "ann/"}, false},
		} {
			if got, _ := w.Decide(c.caller, get, storeARN, Conditions{}); got.Allowed != c.want {
				t.Errorf("%s: %+v", who, got)
			}
		}
	}
}

func TestConditions(t *testing.T) {
	request := Conditions{
		Time:     time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		SourceIP: netip.MustParseAddr("192.0.2.7"),
		Tags:     func() (map[string]string, error) { return map[string]string{"team": "web", "Stage": "prod"}, nil },
	}
	for _, c := range []struct {
		condition string
		want      bool
	}{
		{`"StringEquals":{"aws:username":"ann"}`, true},
		{`"StringEquals":{"aws:USERNAME":["bob","ann"]}`, true},
		{`"StringEquals":{"aws:username":"Ann"}`, false},
		{`"StringNotEquals":{"aws:username":"bob"}`, true},
		{`"StringNotEquals":{"aws:username":["bob","ann"]}`, false},
		{`"StringEqualsIgnoreCase":{"aws:username":"ANN"}`, true},
		{`"StringNotEqualsIgnoreCase":{"aws:username":"ANN"}`, false},
		{`"StringLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/a?n"}`, true},
		{`"StringNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/*"}`, false},
		{`"StringEquals":{"aws:ResourceTag/team":"web"}`, true},
		{`"StringEquals":{"aws:resourcetag/TEAM":"web"}`, true},
		{`"StringEquals":{"aws:ResourceTag/team":"Web"}`, false},
		{`"StringEquals":{"aws:ResourceTag/owner":"ann"}`, false},
		{`"StringNotEquals":{"aws:ResourceTag/owner":"ann"}`, true},
		{`"StringEqualsIfExists":{"aws:ResourceTag/owner":"ann"}`, true},
		{`"StringEqualsIfExists":{"aws:ResourceTag/team":"db"}`, false},
		{`"StringNotLikeIfExists":{"aws:ResourceTag/team":"w*"}`, false},
		{`"Null":{"aws:ResourceTag/owner":"true"}`, true},
		{`"Null":{"aws:ResourceTag/owner":"false"}`, false},
		{`"Null":{"aws:ResourceTag/team":false}`, true},
		{`"Bool":{"aws:SecureTransport":"false"}`, true},
		{`"Bool":{"aws:SecureTransport":true}`, false},
		{`"BoolIfExists":{"aws:SecureTransport":"TRUE"}`, false},
		{`"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}`, true},
		{`"IpAddress":{"aws:SourceIp":["10.0.0.0/8","192.0.2.7"]}`, true},
		{`"IpAddress":{"aws:SourceIp":"192.0.2.8"}`, false},
		{`"IpAddress":{"aws:SourceIp":"::/0"}`, false},
		{`"IpAddress":{"aws:SourceIp":"::ffff:192.0.2.0/120"}`, true},
		{`"IpAddress":{"aws:SourceIp":"::ffff:192.0.3.0/120"}`, false},
		{`"NotIpAddress":{"aws:SourceIp":["10.0.0.0/8","192.0.2.0/24"]}`, false},
		{`"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}`, true},
		{`"DateLessThan":{"aws:CurrentTime":"2026-11-23T12:00:01Z"}`, true},
		{`"DateLessThan":{"aws:CurrentTime":"2026-11-23T12:00:00Z"}`, false},
		{`"DateLessThanEquals":{"aws:CurrentTime":"2026-11-23T13:00:00+01:00"}`, true},
		{`"DateGreaterThan":{"aws:CurrentTime":"2026-11-23"}`, true},
		{`"DateGreaterThanEquals":{"aws:CurrentTime":1795435200}`, true},
		{`"DateGreaterThan":{"aws:CurrentTime":"2027-01-01T00:00Z"}`, false},
		{`"DateEquals":{"aws:CurrentTime":"2026-11-23T12:00:00Z"}`, true},
		{`"DateNotEquals":{"aws:CurrentTime":"2026-11-23T12:00:00Z"}`, false},
		{`"StringEquals":{"aws:username":"ann"},"Bool":{"aws:SecureTransport":"true"}`, false}, // all must hold
		{`"StringEquals":{"aws:username":"ann","aws:ResourceTag/team":"db"}`, false},
	} {
		w := newWorld(t)
		w.put("ann", "p", statementWith(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{`+c.condition+`}`))
		got, err := w.Decide(popkv.Caller{Account: account, User: "ann"}, get, storeARN, request)
		if err != nil || got.Allowed != c.want {
			t.Errorf("%s: allowed %v (%s), %v; want %v", c.condition, got.Allowed, got.Reason, err, c.want)
		}
	}
}

func TestWithoutASourceAddressOnlyNegatedAndIfExistsHold(t *testing.T) {
	for operator, want := range map[string]bool{"IpAddress": false, "NotIpAddress": true, "IpAddressIfExists": true} {
		w := newWorld(t)
		w.put("ann", "p", statementWith(`"Effect":"Allow","Action":"*","Resource":"*","Condition":{"`+operator+`":{"aws:SourceIp":"0.0.0.0/0"}}`))
		if got, _ := w.Decide(popkv.Caller{Account: account, User: "ann"}, get, storeARN, Conditions{}); got.Allowed != want {
			t.Errorf("%s: %+v", operator, got)
		}
	}
}

// Tags that cannot be read decide nothing, not even in favour of an allowing
// statement elsewhere; where no policy asks, they are not read.
func TestTagsThatCannotBeReadFailTheDecision(t *testing.T) {
	broken := errors.New("no tags today")
	asked := 0
	request := Conditions{Tags: func() (map[string]string, error) { asked++; return nil, broken }}
	ann := popkv.Caller{Account: account, User: "ann"}
	w := newWorld(t)
	w.put("ann", "allow", statementWith(`"Effect":"Allow","Action":"*","Resource":"*"`))
	if got, err := w.Decide(ann, get, storeARN, request); !got.Allowed || err != nil || asked != 0 {
		t.Errorf("not needed: %+v, %v, asked %d times", got, err, asked)
	}
	w.put("ann", "deny", statementWith(`"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/a":"b"}}`))
	if got, err := w.Decide(ann, get, storeARN, request); got.Allowed || !errors.Is(err, broken) {
		t.Errorf("needed: %+v, %v", got, err)
	}
}

func TestPoliciesArePutReadListedAndRemoved(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	document := statementWith(`"Effect":"Allow","Action":"*","Resource":"*"`)
	w.put("ann", "b", document)
	w.put("ann", "a", document)
	w.put("bob", "c", document)
	for range 2 {
		if got := fmt.Sprint(names2(w.Policies(account, "ann"))); got != "[a b]" {
			t.Errorf("policies of ann: %s", got)
		}
		if p, err := w.Policy(account, "ann", "b"); err != nil || p.Document != document || !p.Updated.Equal(w.now) {
			t.Errorf("policy b: %+v, %v", p, err)
		}
		w.reopen()
	}
	if err := w.RemovePolicy(ctx, account, "ann", "b"); err != nil {
		t.Fatal(err)
	}
	w.reopen()
	if got := fmt.Sprint(names2(w.Policies(account, "ann"))); got != "[a]" {
		t.Errorf("policies of ann after one is removed: %s", got)
	}
	for what, err := range map[string]error{
		"remove what is not there": w.RemovePolicy(ctx, account, "ann", "b"),
		"remove another account's": w.RemovePolicy(ctx, "999999999999", "ann", "a"),
	} {
		if kindName(err) != "ResourceNotFound" {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, err := range map[string]error{
		"on root":           w.PutPolicy(ctx, account, "root", "p", []byte(document)),
		"a name with slash": w.PutPolicy(ctx, account, "ann", "p/q", []byte(document)),
		"no name":           w.PutPolicy(ctx, account, "ann", "", []byte(document)),
		"a bad account":     w.PutPolicy(ctx, "1", "ann", "p", []byte(document)),
		"a bad document":    w.PutPolicy(ctx, account, "ann", "p", []byte(`{}`)),
	} {
		if kindName(err) != "Invalid" {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func names2(policies []PolicyInfo) (names []string) {
	for _, p := range policies {
		names = append(names, p.Name)
	}
	return names
}

func TestAUserHasSoManyPolicies(t *testing.T) {
	w := newWorld(t)
	document := statementWith(`"Effect":"Allow","Action":"*","Resource":"*"`)
	for i := range maxPoliciesPerUser {
		w.put("ann", fmt.Sprint("p", i), document)
	}
	if err := w.PutPolicy(context.Background(), account, "ann", "more", []byte(document)); kindName(err) != "Invalid" {
		t.Errorf("one more: %v", err)
	}
	w.put("ann", "p0", document) // replacing is no addition
}

func TestSimulate(t *testing.T) {
	w := newWorld(t)
	w.put("ann", "office", statementWith(`"Sid":"Office","Effect":"Allow","Action":"cloudfront-keyvaluestore:*","Resource":"*",
		"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"StringEquals":{"aws:ResourceTag/Team":"web"},"Bool":{"aws:SecureTransport":"true"},"DateLessThan":{"aws:CurrentTime":"2027-01-01"}}`))
	office := map[string]string{"aws:SourceIp": "10.1.2.3", "aws:ResourceTag/Team": "web"}
	got, err := w.Simulate(account, "ann", put, storeARN, office)
	want := Decision{Allowed: true, Explicit: true, Policy: "office", Statement: "Office", Reason: "statement Office of policy office allows it"}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("(-want +got), %v:\n%s", err, diff)
	}
	for key, value := range map[string]string{"aws:SourceIp": "192.0.2.1", "aws:ResourceTag/Team": "db", "aws:SecureTransport": "false", "aws:CurrentTime": "2027-06-01T00:00:00Z"} {
		given := map[string]string{"aws:SourceIp": "10.1.2.3", "aws:ResourceTag/Team": "web", key: value}
		if got, err := w.Simulate(account, "ann", put, storeARN, given); err != nil || got.Allowed {
			t.Errorf("%s = %s: %+v, %v", key, value, got, err)
		}
	}
	if got, _ := w.Simulate(account, "root", put, storeARN, nil); !got.Allowed || got.Reason != "root may do everything in its account" {
		t.Errorf("root: %+v", got)
	}
	for what, given := range map[string]map[string]string{
		"unknown key": {"aws:nonsense": "1"}, "bad address": {"aws:SourceIp": "x"}, "the caller's own": {"aws:username": "bob"},
		"bad date": {"aws:CurrentTime": "now"}, "bad bool": {"aws:SecureTransport": "perhaps"},
	} {
		if _, err := w.Simulate(account, "ann", put, storeARN, given); kindName(err) != "Invalid" {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.Simulate(account, "ann", "s3:*", storeARN, nil); kindName(err) != "Invalid" {
		t.Errorf("a wildcard for an action: %v", err)
	}
}

func TestGlobIsWhatARegularExpressionSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[ab*?é]{0,8}`).Draw(t, "pattern")
		text := rapid.StringMatching(`[abé]{0,10}`).Draw(t, "text")
		expression := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
		want := regexp.MustCompile(`^` + expression + `$`).MatchString(text)
		if got := glob(pattern, text); got != want {
			t.Fatalf("glob(%q, %q) = %v, want %v", pattern, text, got, want)
		}
	})
}

func FuzzParsePolicy(f *testing.F) {
	f.Add(statementWith(`"Effect":"Allow","Action":"*","Resource":"*"`))
	f.Add(statementWith(`"Sid":"S","Effect":"Deny","NotAction":["s3:Get*"],"NotResource":"arn:aws:s3:::b/*","Condition":{"IpAddressIfExists":{"aws:SourceIp":["10.0.0.0/8",1,true]},"Null":{"aws:ResourceTag/x":"true"}}`))
	f.Add(`{"Version":"2008-10-17","Id":"i","Statement":{}}`)
	f.Fuzz(func(t *testing.T, document string) {
		p, err := ParsePolicy([]byte(document))
		if err != nil {
			if popkv.KindOf(err) != popkv.Invalid {
				t.Fatalf("kind %v: %v", popkv.KindOf(err), err)
			}
			return
		}
		q := question{action: get, resource: storeARN, conditions: &Conditions{caller: popkv.Caller{Account: account, User: "ann"}}}
		if _, err := q.decide(map[string]*userPolicy{"p": {policy: p}}); err != nil {
			t.Fatal(err)
		}
	})
}
