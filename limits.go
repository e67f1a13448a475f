package popkv

// Limits are the quotas of one server. Each is a setting under `limits.`; the
// zero value of a field is not "unlimited" but zero, so start from
// [DefaultLimits]. Defaults are AWS's published quotas; where AWS publishes two
// figures the newer one is taken (docs/divergence.md).
type Limits struct {
	KeyBytes          int   // UTF-8 bytes of a key
	ValueBytes        int   // UTF-8 bytes of a value
	UpdateKeys        int   // puts plus deletes of one UpdateKeys
	UpdateBytes       int64 // HTTP body bytes of one UpdateKeys
	StoreBytes        int64 // TotalSizeInBytes of a store after a change
	Stores            int   // stores of an account
	Functions         int   // functions of an account
	FunctionsPerStore int   // functions that name one store
	FunctionBytes     int   // bytes of a function's code
	ImportBytes       int64 // bytes of an import document
	TagsPerResource   int   // tags on a store or function
	RequestsPerSecond int   // data-plane requests of an account per second; 0 = no limit
}

// DefaultLimits returns AWS's quotas (documented; RequestsPerSecond: assumed).
func DefaultLimits() Limits {
	return Limits{
		KeyBytes:          512,
		ValueBytes:        1024,
		UpdateKeys:        50,
		UpdateBytes:       3 << 20,
		StoreBytes:        5 << 20,
		Stores:            200,
		Functions:         100,
		FunctionsPerStore: 100,
		FunctionBytes:     10 << 10,
		ImportBytes:       5 << 20,
		TagsPerResource:   50,
	}
}
