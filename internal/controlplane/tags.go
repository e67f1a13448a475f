package controlplane

import (
	"context"
	"maps"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// A Tag is a name and a value that users hang on a resource.
type Tag struct {
	Key   string
	Value string
}

// Lengths of a tag, in characters (documented).
const (
	maxTagKey   = 128
	maxTagValue = 256
)

// checkTags returns tags as a map. A bad key or value, a key that comes twice,
// the prefix `aws:` and too many tags are [popkv.InvalidTag].
func (s *Service) checkTags(tags []Tag) (map[string]string, error) {
	if len(tags) == 0 {
		return nil, nil
	}
	set := make(map[string]string, len(tags))
	for _, t := range tags {
		if err := checkTagKey(t.Key); err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(t.Value) > maxTagValue || !isTagText(t.Value) {
			return nil, popkv.Errorf(popkv.InvalidTag, "a tag value is longer than %d characters or has characters that are not allowed", maxTagValue)
		}
		if _, twice := set[t.Key]; twice {
			return nil, popkv.Errorf(popkv.InvalidTag, "a tag key is there twice")
		}
		set[t.Key] = t.Value
	}
	return set, s.checkTagCount(set)
}

func (s *Service) checkTagCount(set map[string]string) error {
	if len(set) > s.o.Limits.TagsPerResource {
		return popkv.Errorf(popkv.InvalidTag, "a resource has at most %d tags", s.o.Limits.TagsPerResource)
	}
	return nil
}

func checkTagKey(key string) error {
	n := utf8.RuneCountInString(key)
	switch {
	case n < 1 || n > maxTagKey || !isTagText(key):
		return popkv.Errorf(popkv.InvalidTag, "a tag key is not 1 to %d characters long or has characters that are not allowed", maxTagKey)
	case len(key) >= 4 && strings.EqualFold(key[:4], "aws:"):
		return popkv.Errorf(popkv.InvalidTag, "tag keys that begin with aws: are reserved")
	}
	return nil
}

// isTagText is [\p{L}\p{Z}\p{N}_.:/=+\-@]* (documented).
func isTagText(s string) bool {
	for _, r := range s {
		if !(unicode.IsLetter(r) || unicode.Is(unicode.Z, r) || unicode.IsNumber(r) || strings.ContainsRune("_.:/=+-@", r)) {
			return false
		}
	}
	return true
}

// Resource finds what an ARN names, for the tagging operations. That it names
// nothing is no error here; an ARN that is none is [popkv.Invalid] and one of
// another account [popkv.Denied].
func (s *Service) Resource(ctx context.Context, account, arn string) (Target, error) {
	if !isTaggableARN(arn) {
		return Target{}, popkv.Errorf(popkv.Invalid, "the Resource is not the ARN of a CloudFront resource")
	}
	parsed, err := popkv.ParseARN(arn)
	if err != nil {
		// Well-formed for the service, but of no kind that exists here.
		return Target{ARN: popkv.ARN{Account: account, Resource: "unknown", Name: anyName}}, nil
	}
	if parsed.Account != account {
		return Target{}, popkv.Errorf(popkv.Denied, "the resource belongs to another account")
	}
	if parsed.Resource == popkv.ResourceFunction {
		return s.Function(ctx, account, parsed.Name)
	}
	t := Target{ARN: parsed}
	id, ok := parsed.StoreID()
	if !ok {
		return t, nil
	}
	err = s.j.Catalog(ctx, func(tx *journal.Tx) error {
		c, ok, err := get[control](tx, journal.ControlKey(id))
		if err != nil || !ok || c.Account != account {
			return err
		}
		t.ARN, t.Exists, t.Name, t.Tags, t.id = popkv.StoreARN(account, id), true, c.Name, c.Tags, id
		return nil
	})
	return t, err
}

// isTaggableARN is arn:aws(-cn)?:cloudfront::[0-9]+:.* (documented).
func isTaggableARN(arn string) bool {
	rest, ok := strings.CutPrefix(arn, "arn:aws:cloudfront::")
	if !ok {
		rest, ok = strings.CutPrefix(arn, "arn:aws-cn:cloudfront::")
	}
	account, _, found := strings.Cut(rest, ":")
	return ok && found && account != "" && strings.Trim(account, "0123456789") == ""
}

// Tags returns the tags of a resource, or [popkv.ResourceNotFound].
func (s *Service) Tags(ctx context.Context, t Target) (map[string]string, error) {
	var tags map[string]string
	err := s.j.Catalog(ctx, func(tx *journal.Tx) (err error) {
		tags, _, err = t.tags(tx)
		return err
	})
	return tags, err
}

// Tag sets tags, replacing values of keys that are there. No ETag moves.
//
// Failures: [popkv.InvalidTag], [popkv.ResourceNotFound].
//
// Source: CloudFront TagResource (documented); the limit of tags and that
// ETags stay are assumed.
func (s *Service) Tag(ctx context.Context, t Target, tags []Tag) error {
	set, err := s.checkTags(tags)
	if err != nil {
		return err
	}
	return s.j.Catalog(ctx, func(tx *journal.Tx) error {
		current, put, err := t.tags(tx)
		if err != nil {
			return err
		}
		maps.Copy(current, set)
		if err := s.checkTagCount(current); err != nil {
			return err
		}
		put(current)
		return nil
	})
}

// Untag removes tags; keys that are not there are passed over. No ETag moves.
//
// Failures: [popkv.InvalidTag], [popkv.ResourceNotFound].
//
// Source: CloudFront UntagResource (documented).
func (s *Service) Untag(ctx context.Context, t Target, keys []string) error {
	for _, key := range keys {
		if err := checkTagKey(key); err != nil {
			return err
		}
	}
	return s.j.Catalog(ctx, func(tx *journal.Tx) error {
		current, put, err := t.tags(tx)
		if err != nil {
			return err
		}
		for _, key := range keys {
			delete(current, key)
		}
		put(current)
		return nil
	})
}

// tags reads a resource's tags; put writes them back.
func (t *Target) tags(tx *journal.Tx) (tags map[string]string, put func(map[string]string), err error) {
	gone := popkv.Errorf(popkv.ResourceNotFound, "there is no resource of that ARN")
	if !t.Exists {
		return nil, nil, gone
	}
	var key string
	var record any
	var of *map[string]string
	var ok bool
	if t.ARN.Resource == popkv.ResourceFunction {
		var f function
		key = journal.FunctionKey(t.ARN.Account, t.Name)
		f, ok, err = get[function](tx, key)
		record, of = &f, &f.Tags
	} else {
		var c control
		key = journal.ControlKey(t.id)
		c, ok, err = get[control](tx, key)
		record, of = &c, &c.Tags
	}
	if err == nil && !ok {
		err = gone
	}
	if err != nil {
		return nil, nil, err
	}
	if *of == nil {
		*of = map[string]string{}
	}
	return *of, func(tags map[string]string) {
		*of = tags
		tx.Put(key, encode(record))
	}, nil
}
