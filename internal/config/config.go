package config

import (
	"path/filepath"
	"time"

	"github.com/popkv/popkv"
)

// A Config is what a server is started with. [Load] fills it; the field's
// meaning, unit and default stand in the table of settings.
type Config struct {
	Listen      string   // host:port; localhost means both loopback families
	PublicHosts []string // further names of this server, without port
	Region      string   // matched against SigV4A region sets
	AccountID   string   // 12 digits: the account of the root key

	RootAccessKeyID     string // empty: the key kept in the data directory
	RootSecretAccessKey popkv.Secret

	DataDir              string
	InMemory             bool   // nothing on disk; DataDir is unused
	SecretsKeyFile       string // wraps the stored secrets; empty only when InMemory
	SeedDir              string // *.json become stores at start; empty: none
	ImportDir            string // stands for S3; empty: not used
	DelayTransientStatus time.Duration

	S3        S3
	Admin     Admin
	TLS       TLS
	Auth      Auth
	Compat    Compat
	Limits    popkv.Limits
	History   History
	Memory    Memory
	Functions Functions
	HTTP      HTTP
	Log       Log
	Shutdown  Shutdown
}

// S3 is where imports are read from; unused when Endpoint is empty.
type S3 struct {
	Endpoint        string // http or https URL
	Region          string
	AccessKeyID     string
	SecretAccessKey popkv.Secret
}

// Admin is the listener for health, metrics and profiles.
type Admin struct {
	Listen string // host:port; port 0 picks a free one
}

// TLS is in use when both files are given. They are read again when they change.
type TLS struct {
	CertFile string
	KeyFile  string
}

// Enabled reports whether the API is served over TLS.
func (t TLS) Enabled() bool { return t.CertFile != "" }

// Auth chooses the forms of signature that are taken.
type Auth struct {
	Query            bool // presigned requests
	SigV4OnDataPlane bool // plain SigV4 beside SigV4A
}

// Compat chooses between what AWS does and what its documentation says.
type Compat struct {
	StaleETag StaleETag
}

// A StaleETag is the data plane's answer to an If-Match that is not current.
type StaleETag string

// The answers to a stale If-Match.
const (
	StaleETagValidation StaleETag = "validation" // 400 ValidationException (observed)
	StaleETagConflict   StaleETag = "conflict"   // 409 ConflictException (documented)
)

// History is how much of a store's past is kept: whichever is less.
type History struct {
	Versions int
	Age      time.Duration
}

// Memory bounds the stores held in memory.
type Memory struct {
	BudgetBytes int64
}

// Functions bounds one run of a CloudFront function.
type Functions struct {
	Mode        FunctionMode
	HardLimit   time.Duration // CPU time
	WallLimit   time.Duration
	MemoryBytes int64
}

// A FunctionMode says where functions run.
type FunctionMode string

// The places where functions run.
const (
	FunctionWorker    FunctionMode = "worker"    // supervised worker processes
	FunctionInProcess FunctionMode = "inprocess" // in the server itself: for tests, not for code you do not trust
)

// HTTP bounds the API listener.
type HTTP struct {
	ReadHeaderTimeout time.Duration
	ReadTimeout       time.Duration
	WriteTimeout      time.Duration
	IdleTimeout       time.Duration
	MaxHeaderBytes    int
	MaxConnections    int
	InFlightBytes     int64 // request bodies held at once
}

// Log chooses what is logged and how.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // auto, text, json
}

// Shutdown bounds a graceful stop.
type Shutdown struct {
	DrainTimeout time.Duration
}

// Default returns the configuration of a command that was given nothing. For
// [Serve] it is not valid until an account is set.
func Default(command Command) Config {
	var c Config
	for _, s := range Settings() {
		if err := s.set(&c, s.DefaultFor(command)); err != nil {
			panic("config: default of " + s.Key + ": " + err.Error())
		}
	}
	c.derive()
	return c
}

// derive fills the settings whose default depends on others.
func (c *Config) derive() {
	if c.SecretsKeyFile == "" && !c.InMemory {
		c.SecretsKeyFile = SecretsKeyFileOf(c.DataDir)
	}
}

// SecretsKeyFileOf is where a data directory's secrets key file is unless a
// setting says otherwise: beside it, so that a copy of the one is no copy of
// the other.
func SecretsKeyFileOf(dataDir string) string { return filepath.Clean(dataDir) + ".key" }
