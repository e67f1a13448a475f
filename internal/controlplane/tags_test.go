package controlplane

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/popkv/popkv"
)

func TestTags(t *testing.T) {
	w := newWorld(t, Options{})
	s := w.create(NewStore{Name: "s", Tags: []Tag{{"team", "a"}, {"empty", ""}}})
	ctx := t.Context()
	resource, err := w.Resource(ctx, root.Account, s.ARN())
	if err != nil || !resource.Exists {
		t.Fatalf("%+v, %v", resource, err)
	}
	has := func(step string, want map[string]string) {
		t.Helper()
		got, err := w.Tags(ctx, resource)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step, diff)
		}
		if diff := cmp.Diff(want, map[string]string(w.target("s").Tags)); len(want) > 0 && diff != "" {
			t.Errorf("%s, for policies (-want +got):\n%s", step, diff)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	has("created", map[string]string{"team": "a", "empty": ""})
	must(w.Tag(ctx, resource, []Tag{{"team", "b"}, {"Team", "c"}}))
	has("tagged", map[string]string{"team": "b", "Team": "c", "empty": ""})
	must(w.Tag(ctx, resource, nil))
	must(w.Untag(ctx, resource, nil))
	must(w.Untag(ctx, resource, []string{"TEAM", "not there"}))
	has("tagged with nothing", map[string]string{"team": "b", "Team": "c", "empty": ""})
	must(w.Untag(ctx, resource, []string{"team", "Team", "empty", "team"}))
	has("untagged", map[string]string{})
	if diff := cmp.Diff(w.describe("s").Version, uint64(2)); diff != "" {
		t.Errorf("tags moved the ETag:\n%s", diff)
	}
}

func TestTagRules(t *testing.T) {
	w := newWorld(t, Options{})
	s := w.create(NewStore{Name: "s", Tags: []Tag{{"old", ""}}})
	resource, err := w.Resource(t.Context(), root.Account, s.ARN())
	if err != nil {
		t.Fatal(err)
	}
	many := func(n int) (tags []Tag) {
		for i := range n {
			tags = append(tags, Tag{Key: fmt.Sprint("k", i)})
		}
		return tags
	}
	for _, c := range []struct {
		name string
		tags []Tag
		ok   bool
	}{
		{"every character that is allowed", []Tag{{"é 中_.:/=+-@٣Ⅷ", "é 中_.:/=+-@٣Ⅷ\u00a0"}}, true},
		{"a key of 128 characters", []Tag{{strings.Repeat("é", 128), ""}}, true},
		{"a key of 129 characters", []Tag{{strings.Repeat("é", 129), ""}}, false},
		{"no key", []Tag{{"", "v"}}, false},
		{"a value of 256 characters", []Tag{{"k", strings.Repeat("é", 256)}}, true},
		{"a value of 257 characters", []Tag{{"k", strings.Repeat("é", 257)}}, false},
		{"a key with a character that is not allowed", []Tag{{"a,b", ""}}, false},
		{"a value with a line break", []Tag{{"k", "a\nb"}}, false},
		{"a reserved key", []Tag{{"aws:x", ""}}, false},
		{"a reserved key in another case", []Tag{{"AWS:x", ""}}, false},
		{"a key that only looks reserved", []Tag{{"aws-x", ""}, {"xaws:", ""}}, true},
		{"a key twice", []Tag{{"k", "1"}, {"k", "1"}}, false},
		{"so many that all together are 50", many(49), true},
		{"so many that all together are 51", many(50), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := w.Tag(t.Context(), resource, c.tags)
			if c.ok != (err == nil) || err != nil && popkv.KindOf(err) != popkv.InvalidTag {
				t.Errorf("%v", err)
			}
			var keys []string
			for _, tag := range c.tags {
				keys = append(keys, tag.Key)
			}
			if c.ok {
				if err := w.Untag(t.Context(), resource, keys); err != nil {
					t.Error(err)
				}
			}
			tags, err := w.Tags(t.Context(), resource)
			if diff := cmp.Diff(map[string]string{"old": ""}, tags); diff != "" || err != nil {
				t.Errorf("%v, tags (-want +got):\n%s", err, diff)
			}
		})
	}
	if err := w.Untag(t.Context(), resource, []string{"a,b"}); popkv.KindOf(err) != popkv.InvalidTag {
		t.Errorf("untag a bad key: %v", err)
	}
}

func TestResourceThatIsNone(t *testing.T) {
	w := newWorld(t, Options{})
	s := w.create(NewStore{Name: "s"})
	for _, arn := range []string{
		"", "x", s.ID.String(), "arn:aws:s3:::bucket", "arn:aws:cloudfront::x:key-value-store/y",
		"arn:aws-us-gov:cloudfront::123456789012:key-value-store/y", "arn:aws:cloudfront:us-east-1:123456789012:key-value-store/y", "arn:aws:cloudfront::123456789012",
	} {
		if _, err := w.Resource(t.Context(), root.Account, arn); popkv.KindOf(err) != popkv.Invalid {
			t.Errorf("%q: %v", arn, err)
		}
	}
	if _, err := w.Resource(t.Context(), "000000000000", s.ARN()); popkv.KindOf(err) != popkv.Denied {
		t.Errorf("another account's store: %v", err)
	}
	gone, err := w.Resource(t.Context(), root.Account, s.ARN())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Delete(t.Context(), w.target("s"), s.ETag()); err != nil {
		t.Fatal(err)
	}
	missing := []Target{gone}
	for _, arn := range []string{
		s.ARN(), "arn:aws:cloudfront::123456789012:distribution/EDFDVBD6EXAMPLE", "arn:aws:cloudfront::123456789012:key-value-store/no-uuid",
		"arn:aws-cn:cloudfront::123456789012:key-value-store/" + s.ID.String(), "arn:aws:cloudfront::123456789012:streaming",
	} {
		target, err := w.Resource(t.Context(), root.Account, arn)
		if err != nil {
			t.Fatalf("%s: %v", arn, err)
		}
		missing = append(missing, target)
	}
	for _, target := range missing {
		_, list := w.Tags(t.Context(), target)
		for name, err := range map[string]error{"list": list, "tag": w.Tag(t.Context(), target, []Tag{{"k", "v"}}), "untag": w.Untag(t.Context(), target, []string{"k"})} {
			if popkv.KindOf(err) != popkv.ResourceNotFound {
				t.Errorf("%s of %s: %v", name, target.ARN, err)
			}
		}
	}
	w.audit()
}

// FuzzTaggableARN compares isTaggableARN with the service model's pattern, and
// what is parsed of an ARN with the ARN.
func FuzzTaggableARN(f *testing.F) {
	f.Add("arn:aws:cloudfront::123456789012:key-value-store/8aa76c93-3198-462c-aaf6-000000000001")
	f.Add("arn:aws-cn:cloudfront::1:function/f")
	model := regexp.MustCompile(`^arn:aws(-cn)?:cloudfront::[0-9]+:(?s:.*)$`)
	f.Fuzz(func(t *testing.T, arn string) {
		if got, want := isTaggableARN(arn), model.MatchString(arn); got != want {
			t.Fatalf("%q: %v, the model says %v", arn, got, want)
		}
		if parsed, err := popkv.ParseARN(arn); err == nil && (!isTaggableARN(arn) || parsed.String() != arn) {
			t.Fatalf("%q is the ARN %q", arn, parsed)
		}
	})
}
