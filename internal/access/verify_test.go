package access

import (
	"strings"
	"testing"

	"github.com/popkv/popkv/internal/journal"
)

func TestCheck(t *testing.T) {
	key := keyRecord{ID: "AKIA1", Account: "123456789012", User: "ci"}
	policy := policyRecord{
		Account: "123456789012", User: "ci", Name: "rw",
		Document: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
	}
	broken := policy
	broken.Document = "{}"
	policyKey := journal.PolicyKey("123456789012", "ci", "rw")
	for _, c := range []struct {
		name, key string
		value     []byte
		want      string // part of the problem
	}{
		{"a key", journal.AccessKeyKey("AKIA1"), encodeRecord(key), ""},
		{"a key under another's name", journal.AccessKeyKey("AKIA2"), encodeRecord(key), "not the record of the key"},
		{"a key that is no JSON", journal.AccessKeyKey("AKIA1"), []byte("{"), "cannot be decoded"},
		{"a policy", policyKey, encodeRecord(policy), ""},
		{"a policy of another user", journal.PolicyKey("123456789012", "other", "rw"), encodeRecord(policy), "not the record of the policy"},
		{"a policy without statements", policyKey, encodeRecord(broken), "no policy"},
		{"a data key that is no JSON", dataKeyKey, []byte("x"), "cannot be decoded"},
		{"a record of another package", "k/x", []byte("x"), ""},
	} {
		got := Check(c.key, c.value, nil)
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
