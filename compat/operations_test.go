package compat

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// newStore creates a store, waits until it is READY, and returns its name, its
// ARN and its data-plane ETag.
func newStore(t *testing.T, c client, name string, more map[string]any) (arn, etag string) {
	t.Helper()
	parameters := map[string]any{"Name": name, "Comment": "made by a test"}
	for k, v := range more {
		parameters[k] = v
	}
	created := mustCall(t, c, controlPlane, "CreateKeyValueStore", parameters)
	store := created["KeyValueStore"].(map[string]any)
	if store["Status"] != "PROVISIONING" {
		t.Errorf("create says %v, want PROVISIONING", store["Status"])
	}
	if created["ETag"] != "ETVPDKIKX0DER" || created["Location"] == nil {
		t.Errorf("create: ETag %v and Location %v, want version 1 and a URL", created["ETag"], created["Location"])
	}
	arn = store["ARN"].(string)
	waitReady(t, c, name)
	described := mustCall(t, c, dataPlane, "DescribeKeyValueStore", map[string]any{"KvsARN": arn})
	return arn, described["ETag"].(string)
}

func waitReady(t *testing.T, c client, name string) map[string]any {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		described := mustCall(t, c, controlPlane, "DescribeKeyValueStore", map[string]any{"Name": name})
		if described["KeyValueStore"].(map[string]any)["Status"] != "PROVISIONING" {
			return described
		}
		if time.Now().After(deadline) {
			t.Fatalf("store %s is still PROVISIONING after a minute", name)
		}
	}
}

func expect(t *testing.T, operation string, got map[string]any, want map[string]any) {
	t.Helper()
	for member, value := range want {
		if fmt.Sprint(got[member]) != fmt.Sprint(value) {
			t.Errorf("%s: %s = %v, want %v", operation, member, got[member], value)
		}
	}
}

func storeARN(t *testing.T, c client, name string) string {
	t.Helper()
	described := mustCall(t, c, controlPlane, "DescribeKeyValueStore", map[string]any{"Name": name})
	return described["KeyValueStore"].(map[string]any)["ARN"].(string)
}

// wantItems compares the items of a small store.
func wantItems(t *testing.T, c client, arn string, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	page := mustCall(t, c, dataPlane, "ListKeys", map[string]any{"KvsARN": arn, "MaxResults": 50})
	for _, item := range page["Items"].([]any) {
		item := item.(map[string]any)
		got[item["Key"].(string)] = item["Value"].(string)
	}
	if !maps.Equal(got, want) {
		t.Errorf("the store holds %v, want %v", got, want)
	}
}

// storeName makes a name of the test's; suffix tells its stores apart.
func storeName(t *testing.T, suffix string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, t.Name()+suffix)
	return name[max(0, len(name)-64):]
}

// awkwardKeys are the keys of the recorded requests: dots, slashes, percent
// signs, composed and decomposed letters.
func awkwardKeys(t *testing.T) []string {
	dir := os.Getenv("POPKV_VECTORS")
	if dir == "" {
		dir = "../internal/sigv4/testdata"
	}
	f, err := os.Open(filepath.Join(dir, "sdk-captures", "captures.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	seen := map[string]bool{}
	var keys []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var capture struct{ Params struct{ Key string } }
		if err := json.Unmarshal(lines.Bytes(), &capture); err != nil {
			t.Fatal(err)
		}
		if key := capture.Params.Key; key != "" && !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		t.Fatal("the recorded requests name no key")
	}
	return keys
}

func TestAllSixOperationsWithAwkwardKeys(t *testing.T) {
	s := startServer(t)
	keys := awkwardKeys(t)
	eachClient(t, s, s.root, func(t *testing.T, c client) {
		arn, etag := newStore(t, c, storeName(t, ""), nil)
		size := 0
		for i, key := range keys {
			value := fmt.Sprintf("value %d of %s", i, key)
			size += len(key) + len(value)
			put := mustCall(t, c, dataPlane, "PutKey", map[string]any{"KvsARN": arn, "Key": key, "Value": value, "IfMatch": etag})
			expect(t, "PutKey", put, map[string]any{"ItemCount": i + 1, "TotalSizeInBytes": size})
			if put["ETag"] == etag {
				t.Errorf("PutKey of %q: the ETag did not change", key)
			}
			etag = put["ETag"].(string)
		}
		for i, key := range keys {
			got := mustCall(t, c, dataPlane, "GetKey", map[string]any{"KvsARN": arn, "Key": key})
			expect(t, "GetKey", got, map[string]any{"Key": key, "Value": fmt.Sprintf("value %d of %s", i, key)})
		}
		listed := map[string]bool{}
		parameters := map[string]any{"KvsARN": arn, "MaxResults": 10}
		for last := ""; ; {
			page := mustCall(t, c, dataPlane, "ListKeys", parameters)
			for _, item := range page["Items"].([]any) {
				key := item.(map[string]any)["Key"].(string)
				if key <= last {
					t.Errorf("ListKeys: %q after %q", key, last)
				}
				last = key
				listed[key] = true
			}
			token, more := page["NextToken"]
			if !more {
				break
			}
			parameters["NextToken"] = token
		}
		if len(listed) != len(keys) {
			t.Errorf("ListKeys listed %d keys, want %d", len(listed), len(keys))
		}
		gone := mustCall(t, c, dataPlane, "DeleteKey", map[string]any{"KvsARN": arn, "Key": keys[0], "IfMatch": etag})
		expect(t, "DeleteKey", gone, map[string]any{"ItemCount": len(keys) - 1})
		var deletes []any
		for _, key := range keys[1:] {
			deletes = append(deletes, map[string]any{"Key": key})
		}
		updated := mustCall(t, c, dataPlane, "UpdateKeys", map[string]any{
			"KvsARN": arn, "IfMatch": gone["ETag"],
			"Puts": []any{map[string]any{"Key": "only", "Value": "one"}}, "Deletes": deletes,
		})
		expect(t, "UpdateKeys", updated, map[string]any{"ItemCount": 1, "TotalSizeInBytes": 7})
		described := mustCall(t, c, dataPlane, "DescribeKeyValueStore", map[string]any{"KvsARN": arn})
		expect(t, "DescribeKeyValueStore", described, map[string]any{
			"ItemCount": 1, "TotalSizeInBytes": 7, "ETag": updated["ETag"], "KvsARN": arn, "Status": "READY",
		})
	})
}

func TestStoreLifeOnTheControlPlane(t *testing.T) {
	s := startServer(t)
	eachClient(t, s, s.root, func(t *testing.T, c client) {
		name := storeName(t, "")
		arn, _ := newStore(t, c, name, map[string]any{"Tags": map[string]any{"Items": []any{map[string]any{"Key": "team", "Value": "edge"}}}})
		described := mustCall(t, c, controlPlane, "DescribeKeyValueStore", map[string]any{"Name": name})
		expect(t, "DescribeKeyValueStore", described, map[string]any{"ETag": "E3UN6WX5RRO2AG"})
		updated := mustCall(t, c, controlPlane, "UpdateKeyValueStore", map[string]any{"Name": name, "Comment": "new", "IfMatch": described["ETag"]})
		expect(t, "UpdateKeyValueStore", updated["KeyValueStore"].(map[string]any), map[string]any{"Comment": "new", "Status": "READY"})

		mustCall(t, c, controlPlane, "TagResource", map[string]any{"Resource": arn, "Tags": map[string]any{"Items": []any{map[string]any{"Key": "stage", "Value": "test"}}}})
		mustCall(t, c, controlPlane, "UntagResource", map[string]any{"Resource": arn, "TagKeys": map[string]any{"Items": []any{"team"}}})
		tags := mustCall(t, c, controlPlane, "ListTagsForResource", map[string]any{"Resource": arn})
		if got := fmt.Sprint(tags["Tags"]); !strings.Contains(got, "stage") || strings.Contains(got, "team") {
			t.Errorf("ListTagsForResource: %s, want stage and not team", got)
		}
		list := mustCall(t, c, controlPlane, "ListKeyValueStores", map[string]any{"Status": "READY"})
		if !strings.Contains(fmt.Sprint(list), name) {
			t.Errorf("ListKeyValueStores does not name %s: %v", name, list)
		}
		mustCall(t, c, controlPlane, "DeleteKeyValueStore", map[string]any{"Name": name, "IfMatch": updated["ETag"]})
		if a := c.call(t, controlPlane, "DescribeKeyValueStore", map[string]any{"Name": name}); a.Error == nil || a.Error.Code != "EntityNotFound" {
			t.Errorf("describe after delete: %+v, want EntityNotFound", a.Error)
		}
	})
}
