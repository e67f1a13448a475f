package compat

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/config"
)

// A refusal is a request of the control plane and the exception that answers
// it.
type refusal struct {
	operation  string
	parameters map[string]any
	exception  string
	status     int
}

const (
	anotherETag = "E1F83G8C2ARO7P" // well-formed, and current of nothing here
	noETag      = "not an ETag"
)

// refusals need a store and a function, both named "there", the one used by
// the other.
func refusals(store string) []refusal {
	absentStore := store[:len(store)-12] + "ffffffffffff"
	tag := func(key string) map[string]any {
		return map[string]any{"Items": []any{map[string]any{"Key": key, "Value": "v"}}}
	}
	ifMatch := func(etag string, parameters map[string]any) map[string]any {
		parameters = maps.Clone(parameters)
		parameters["IfMatch"] = etag
		return parameters
	}
	there, absent := map[string]any{"Name": "there"}, map[string]any{"Name": "absent"}
	comment := map[string]any{"Name": "there", "Comment": "c"}
	function := functionParameters("there", "", firstCode)
	source := map[string]any{"SourceType": "S3", "SourceARN": "arn:aws:s3:::bucket/key"}
	return []refusal{
		{"CreateKeyValueStore", there, "EntityAlreadyExists", 409},
		{"CreateKeyValueStore", map[string]any{"Name": "not a name"}, "InvalidArgument", 400},
		{"CreateKeyValueStore", map[string]any{"Name": "new", "ImportSource": source}, "UnsupportedOperation", 400},
		{"DescribeKeyValueStore", absent, "EntityNotFound", 404},
		{"UpdateKeyValueStore", ifMatch(anotherETag, map[string]any{"Name": "absent", "Comment": "c"}), "EntityNotFound", 404},
		{"UpdateKeyValueStore", ifMatch(anotherETag, comment), "PreconditionFailed", 412},
		{"UpdateKeyValueStore", ifMatch(noETag, comment), "InvalidIfMatchVersion", 400},
		{"DeleteKeyValueStore", ifMatch(anotherETag, absent), "EntityNotFound", 404},
		{"DeleteKeyValueStore", ifMatch(anotherETag, there), "PreconditionFailed", 412},
		{"DeleteKeyValueStore", ifMatch(noETag, there), "InvalidIfMatchVersion", 400},
		{"DeleteKeyValueStore", ifMatch("E3UN6WX5RRO2AG", there), "CannotDeleteEntityWhileInUse", 409},

		{"TagResource", map[string]any{"Resource": absentStore, "Tags": tag("k")}, "NoSuchResource", 404},
		{"TagResource", map[string]any{"Resource": store, "Tags": tag("aws:k")}, "InvalidTagging", 400},
		{"TagResource", map[string]any{"Resource": "no ARN", "Tags": tag("k")}, "InvalidArgument", 400},
		{"UntagResource", map[string]any{"Resource": absentStore, "TagKeys": map[string]any{"Items": []any{"k"}}}, "NoSuchResource", 404},
		{"ListTagsForResource", map[string]any{"Resource": absentStore}, "NoSuchResource", 404},

		{"CreateFunction", function, "FunctionAlreadyExists", 409},
		{"CreateFunction", functionParameters("new", "", strings.Repeat("/", 10<<10+1)), "FunctionSizeLimitExceeded", 413},
		{"CreateFunction", functionParameters("new", absentStore, firstCode), "InvalidArgument", 400},
		{"DescribeFunction", absent, "NoSuchFunctionExists", 404},
		{"GetFunction", absent, "NoSuchFunctionExists", 404},
		{"UpdateFunction", ifMatch(anotherETag, function), "PreconditionFailed", 412},
		{"UpdateFunction", ifMatch(noETag, function), "InvalidIfMatchVersion", 400},
		{"UpdateFunction", ifMatch("ETVPDKIKX0DER", functionParameters("there", "", strings.Repeat("/", 10<<10+1))), "FunctionSizeLimitExceeded", 413},
		{"PublishFunction", ifMatch(anotherETag, absent), "NoSuchFunctionExists", 404},
		{"PublishFunction", ifMatch(anotherETag, there), "PreconditionFailed", 412},
		{"PublishFunction", ifMatch(noETag, there), "InvalidIfMatchVersion", 400},
		{"TestFunction", map[string]any{"Name": "there", "IfMatch": noETag, "EventObject": encoded("{}")}, "InvalidIfMatchVersion", 400},
		{"DeleteFunction", ifMatch(anotherETag, there), "PreconditionFailed", 412},
		{"DeleteFunction", ifMatch(noETag, there), "InvalidIfMatchVersion", 400},
	}
}

func TestExceptionsOfTheControlPlane(t *testing.T) {
	s := startServer(t)
	root := newGoSDK(t, s.target(s.root))
	store, _ := newStore(t, root, "there", nil)
	mustCall(t, root, controlPlane, "CreateFunction", functionParameters("there", store, firstCode))
	eachClient(t, s, s.root, func(t *testing.T, c client) {
		for _, r := range refusals(store) {
			wantException(t, c, controlPlane, r.operation, r.exception, r.status, r.parameters)
		}
	})
}

func TestQuotaExceptionsOfTheControlPlane(t *testing.T) {
	s := startServerWith(t, func(c *config.Config) { c.Limits.Stores, c.Limits.Functions = 1, 1 })
	root := newGoSDK(t, s.target(s.root))
	newStore(t, root, "there", nil)
	mustCall(t, root, controlPlane, "CreateFunction", functionParameters("there", "", firstCode))
	eachClient(t, s, s.root, func(t *testing.T, c client) {
		wantException(t, c, controlPlane, "CreateKeyValueStore", "EntityLimitExceeded", 400, map[string]any{"Name": "new"})
		wantException(t, c, controlPlane, "CreateFunction", "TooManyFunctions", 400, functionParameters("new", "", firstCode))
	})
}

// The size of a file in the folder that stands for S3 is known at once.
func TestImportOfAFileThatIsTooLarge(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, bucket), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, bucket, "large.json"), documentOf(5000, 5<<20+1))
	s := startServerWith(t, func(c *config.Config) { c.ImportDir = dir })
	source := map[string]any{"SourceType": "S3", "SourceARN": "arn:aws:s3:::" + bucket + "/large.json"}
	eachClient(t, s, s.root, func(t *testing.T, c client) {
		wantException(t, c, controlPlane, "CreateKeyValueStore", "EntitySizeLimitExceeded", 413, map[string]any{"Name": "new", "ImportSource": source})
	})
}

func TestControlPlaneDeniesAUserWithoutPolicy(t *testing.T) {
	s := startServer(t)
	stranger := s.newKey(t, access.KeyRequest{User: "stranger"})
	store, _ := newStore(t, newGoSDK(t, s.target(s.root)), "guarded", nil)
	const current = "E3UN6WX5RRO2AG"
	eachClient(t, s, stranger, func(t *testing.T, c client) {
		for operation, parameters := range map[string]map[string]any{
			"CreateKeyValueStore":   {"Name": "new"},
			"DescribeKeyValueStore": {"Name": "guarded"},
			"ListKeyValueStores":    {},
			"UpdateKeyValueStore":   {"Name": "guarded", "Comment": "c", "IfMatch": current},
			"DeleteKeyValueStore":   {"Name": "guarded", "IfMatch": current},
			"TagResource":           {"Resource": store, "Tags": map[string]any{"Items": []any{map[string]any{"Key": "k"}}}},
			"ListTagsForResource":   {"Resource": store},
		} {
			wantException(t, c, controlPlane, operation, "AccessDenied", 403, parameters)
		}
	})
}
