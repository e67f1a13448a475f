package popkv

// An Item is one key with its value. Both are valid UTF-8 and compared as
// bytes: nothing is normalised, trimmed or case-folded.
type Item struct {
	Key   string
	Value string
}

// SizeBytes is what the item adds to TotalSizeInBytes: the UTF-8 bytes of key
// and value, without any overhead (observed, docs/operations/describe-key-value-store.md).
func (i Item) SizeBytes() int64 { return int64(len(i.Key)) + int64(len(i.Value)) }

// Status is a store's life stage, spelled as AWS spells it.
type Status string

// The statuses a store goes through. Provisioning becomes Ready or
// ImportFailure; neither ever changes again.
const (
	Provisioning  Status = "PROVISIONING"
	Ready         Status = "READY"
	ImportFailure Status = "IMPORT_FAILURE"
)
