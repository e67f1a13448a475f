package cli

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/pebblejournal"
)

// dataDirFlags name a data directory that no server has open.
type dataDirFlags struct {
	dir     string
	keyFile string
	account string
}

// add defines the flags that a data directory needs to be opened at all.
func (f *dataDirFlags) add(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&f.dir, "data-dir", "", "data directory of a server that is not running")
}

// addKeys defines the flags for access keys and policies in a data directory.
func (f *dataDirFlags) addKeys(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVar(&f.keyFile, "secrets-key-file", "",
		"with --data-dir: the secrets key file (or POPKV_SECRETS_KEY_FILE; default: the directory's name with .key appended)")
	cmd.PersistentFlags().StringVar(&f.account, "account", "",
		"account, 12 digits (default: your own; with --data-dir POPKV_ACCOUNT_ID, or the only one there is)")
}

// A dataDir is an open data directory.
type dataDir struct {
	path    string
	driver  journal.Driver
	journal *journal.Journal
	access  *access.Directory // nil unless opened for access keys
	account string            // empty: find it
}

// openDriver opens a directory that must hold data.
func openDriver(path string, log *slog.Logger) (*pebblejournal.Driver, error) {
	return pebblejournal.Open(path, pebblejournal.Options{Logger: log, MustExist: true})
}

// openJournal opens a directory that must hold data, and the journal in it.
func openJournal(ctx context.Context, path string, log *slog.Logger) (*dataDir, error) {
	driver, err := openDriver(path, log)
	if err != nil {
		return nil, err
	}
	return journalOn(ctx, path, driver, log)
}

func journalOn(ctx context.Context, path string, driver journal.Driver, log *slog.Logger) (*dataDir, error) {
	j, err := journal.Open(ctx, driver, journal.Options{Logger: log})
	if err != nil {
		return nil, errors.Join(err, driver.Close())
	}
	return &dataDir{path: path, driver: driver, journal: j}, nil
}

// open opens the directory for access keys and policies. With mayMake it is made
// if it is not there, so that a first key can be made before the first start.
func (f *dataDirFlags) open(ctx context.Context, a *app, mayMake bool) (*dataDir, error) {
	log := a.quietLogger()
	driver, err := pebblejournal.Open(f.dir, pebblejournal.Options{Logger: log, MustExist: !mayMake})
	if err != nil {
		return nil, err
	}
	d, err := journalOn(ctx, f.dir, driver, log)
	if err != nil {
		return nil, err
	}
	d.account = firstOf(f.account, a.getenv("POPKV_ACCOUNT_ID"))
	keyFile := firstOf(f.keyFile, a.getenv("POPKV_SECRETS_KEY_FILE"), config.SecretsKeyFileOf(f.dir))
	d.access, err = access.Open(ctx, d.journal, access.Options{Logger: log, KeyFile: keyFile})
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// quietLogger tells of warnings and worse on stderr.
func (a *app) quietLogger() *slog.Logger {
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// String names the directory, for announcements.
func (d *dataDir) String() string { return "data directory " + d.path }

func (d *dataDir) close() error { return errors.Join(d.journal.Close(), d.driver.Close()) }

// owner is the account that a command is about.
func (d *dataDir) owner() (string, error) {
	if d.account != "" {
		return d.account, nil
	}
	account := ""
	for _, key := range d.access.Keys("", "") {
		if account != "" && account != key.Account {
			return "", codedError{exitUsage, errors.New("the data directory has keys of several accounts: give --account")}
		}
		account = key.Account
	}
	if account == "" {
		return "", codedError{exitUsage, errors.New("the data directory has no access key yet: give --account, the 12 digits of your account")}
	}
	return account, nil
}

func (d *dataDir) createKey(ctx context.Context, r keyRequest) (accessKey, error) {
	account := r.Account
	if account == "" {
		var err error
		if account, err = d.owner(); err != nil {
			return accessKey{}, err
		}
	}
	made, err := d.access.CreateKey(ctx, access.KeyRequest{
		Account: account, User: r.User, PublicKeyOnly: r.PublicKeyOnly, Life: time.Duration(r.ExpiresInSeconds) * time.Second,
	})
	return d.shown(made), err
}

// shown is a new key with its secrets, this one time.
func (d *dataDir) shown(made access.Credentials) accessKey {
	var key accessKey
	for _, info := range d.access.Keys("", "") {
		if info.AccessKeyID == made.AccessKeyID {
			key = keyOf(info)
		}
	}
	key.SecretAccessKey, key.SessionToken = made.Secret.Reveal(), made.SessionToken.Reveal()
	return key
}

func keyOf(i access.KeyInfo) accessKey {
	return accessKey{
		AccessKeyID: i.AccessKeyID, Account: i.Account, User: i.User,
		Created: i.Created, Expires: i.Expires, PublicKeyOnly: i.PublicKeyOnly,
	}
}

func (d *dataDir) keys(context.Context) ([]accessKey, error) {
	var all []accessKey
	for _, info := range d.access.Keys(d.account, "") {
		all = append(all, keyOf(info))
	}
	return all, nil
}

func (d *dataDir) removeKey(ctx context.Context, id string) error {
	return d.access.RemoveKey(ctx, d.account, id)
}

func (d *dataDir) rotateKey(ctx context.Context, id string) (accessKey, error) {
	made, err := d.access.RotateKey(ctx, d.account, id, 0)
	return d.shown(made), err
}

func (d *dataDir) policies(_ context.Context, user string) ([]string, error) {
	account, err := d.owner()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range d.access.Policies(account, user) {
		names = append(names, p.Name)
	}
	return names, nil
}

func (d *dataDir) policy(_ context.Context, user, name string) ([]byte, error) {
	account, err := d.owner()
	if err != nil {
		return nil, err
	}
	p, err := d.access.Policy(account, user, name)
	return []byte(p.Document), err
}

func (d *dataDir) putPolicy(ctx context.Context, user, name string, document []byte) error {
	account, err := d.owner()
	if err != nil {
		return err
	}
	return d.access.PutPolicy(ctx, account, user, name, document)
}

func (d *dataDir) removePolicy(ctx context.Context, user, name string) error {
	account, err := d.owner()
	if err != nil {
		return err
	}
	return d.access.RemovePolicy(ctx, account, user, name)
}

func (d *dataDir) simulate(_ context.Context, s simulation) (decision, error) {
	account, err := d.owner()
	if err != nil {
		return decision{}, err
	}
	found, err := d.access.Simulate(account, s.User, s.Action, s.Resource, s.Context)
	return decision{found.Allowed, found.Reason}, err
}

// kindCodes are the exit codes of failures in a data directory.
func kindCode(err error) (code int, ok bool) {
	var failure *popkv.Error
	if !errors.As(err, &failure) {
		return 0, false
	}
	switch failure.Kind {
	case popkv.ResourceNotFound, popkv.StoreNotFound, popkv.KeyNotFound:
		return exitNotFound, true
	case popkv.Denied, popkv.Unauthenticated:
		return exitAuth, true
	case popkv.Unavailable, popkv.Throttled:
		return exitUnreachable, true
	}
	return exitFailed, true
}
