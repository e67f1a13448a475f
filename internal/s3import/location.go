package s3import

import (
	"strings"
	"unicode/utf8"

	"github.com/popkv/popkv"
)

// A Location is one object, taken literally: nothing in Key is decoded,
// cleaned or expanded.
type Location struct {
	Bucket string
	Key    string
}

// MaxKeyBytes is the longest object key of S3 (documented).
const MaxKeyBytes = 1024

const arnPrefix = "arn:aws:s3:::"

// ParseLocation reads `arn:aws:s3:::BUCKET/KEY`. Anything else fails with
// [popkv.Invalid].
func ParseLocation(arn string) (Location, error) {
	if rest, ok := strings.CutPrefix(arn, arnPrefix); ok {
		bucket, key, _ := strings.Cut(rest, "/")
		if isBucket(bucket) && key != "" && len(key) <= MaxKeyBytes && utf8.ValidString(key) {
			return Location{Bucket: bucket, Key: key}, nil
		}
	}
	return Location{}, popkv.Errorf(popkv.Invalid, "the SourceARN is not of the form arn:aws:s3:::BUCKET/KEY")
}

// isBucket is a little wider than S3's rule, because S3-like servers are; it
// admits no character that means anything in a URL, a path or an ARN.
func isBucket(s string) bool {
	if len(s) < 1 || len(s) > 255 || s == "." || s == ".." {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

// ObjectARN names the object, as a policy on s3:GetObject does.
func (l Location) ObjectARN() string { return arnPrefix + l.Bucket + "/" + l.Key }

// BucketARN names the bucket, as a policy on s3:GetBucketLocation does.
func (l Location) BucketARN() string { return arnPrefix + l.Bucket }
