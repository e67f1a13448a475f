package controlplane

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/journal"
)

// The runtimes of functions.
const (
	Runtime1 = "cloudfront-js-1.0"
	Runtime2 = "cloudfront-js-2.0"
)

// What the service model says of a function (documented), but for the length of
// the comment, in characters, which is assumed.
const (
	maxModelCode       = 40_960
	maxEvent           = 40_960
	maxFunctionComment = 1024
	maxStoreARN        = 85
)

// maxStoredCode is the longest code, in bytes, that storage can hold whatever
// the quota is: both stages of a function, in base64 and with their comments and
// tags, are one record and go into one transaction.
const maxStoredCode = journal.MaxTxnBytes * 5 / 16

// A FunctionConfig is what a function is, beside its code.
type FunctionConfig struct {
	Comment string
	Runtime string
	Stores  []string // ARNs of associated stores
}

// A NewFunction is the input of CreateFunction.
type NewFunction struct {
	Name   string
	Config FunctionConfig
	Code   []byte
	Tags   []Tag
}

// A Function is what the control plane shows of one stage of a function.
type Function struct {
	Account      string
	Name         string
	Stage        Stage
	Status       string // UNPUBLISHED, UNASSOCIATED or DEPLOYED
	Config       FunctionConfig
	Created      time.Time // of the stage, milliseconds, UTC
	LastModified time.Time
	Version      uint64
}

// ARN names the function, whatever its stage.
func (f Function) ARN() string { return popkv.FunctionARN(f.Account, f.Name).String() }

// ETag is that of the stage.
func (f Function) ETag() string { return popkv.ControlETag(f.Version) }

// Functions is the target of operations on no function in particular.
func (s *Service) Functions(account string) Target {
	return Target{ARN: popkv.FunctionARN(account, anyName)}
}

// Function finds a function by name. That it does not exist, or cannot under
// such a name, is no error here; its ARN is known all the same.
func (s *Service) Function(ctx context.Context, account, name string) (Target, error) {
	t := s.Functions(account)
	t.Name = name
	if !popkv.IsName(name) {
		return t, nil
	}
	t.ARN = popkv.FunctionARN(account, name)
	err := s.j.Catalog(ctx, func(tx *journal.Tx) error {
		f, ok, err := get[function](tx, journal.FunctionKey(account, name))
		t.Exists, t.Tags = ok, f.Tags
		return err
	})
	return t, err
}

// CreateFunction makes a function, in the stage DEVELOPMENT. The code is not
// looked at: what is wrong with it shows when it runs.
//
// Failures, in order: [popkv.Invalid], [popkv.FunctionExists], [popkv.Invalid]
// (the association), [popkv.FunctionCountQuota], [popkv.FunctionSizeQuota].
//
// Source: CloudFront CreateFunction (documented); that code is not parsed is
// observed, the order is assumed.
func (s *Service) CreateFunction(ctx context.Context, caller popkv.Caller, in NewFunction) (Function, error) {
	if err := checkName(in.Name); err != nil {
		return Function{}, err
	}
	if err := s.checkFunction(in.Config, in.Code); err != nil {
		return Function{}, err
	}
	tags, err := s.checkTags(in.Tags)
	if err != nil {
		return Function{}, popkv.Wrap(popkv.Invalid, nil, popkv.Message(err))
	}
	var created Function
	err = s.j.Catalog(ctx, func(tx *journal.Tx) error {
		key := journal.FunctionKey(caller.Account, in.Name)
		if _, taken, err := tx.Get(key); err != nil {
			return err
		} else if taken {
			return popkv.Errorf(popkv.FunctionExists, "a function of that name exists already")
		}
		store, err := s.associate(tx, caller.Account, in.Name, "", in.Config)
		if err != nil {
			return err
		}
		if err := s.reserveFunction(tx, caller.Account, in.Code); err != nil {
			return err
		}
		now := tx.Now().UnixMilli()
		f := &function{Tags: tags, Development: code{
			Comment: in.Config.Comment, Runtime: in.Config.Runtime, Store: store, Code: in.Code,
			Version: 1, CreatedMS: now, ModifiedMS: now,
		}}
		tx.Put(key, encode(f))
		created, err = s.showFunction(tx, caller.Account, in.Name, f, Development)
		return err
	})
	return created, err
}

// reserveFunction takes a place among the account's functions.
func (s *Service) reserveFunction(tx *journal.Tx, account string, code []byte) error {
	key := journal.CounterKey(account)
	q, _, err := get[counters](tx, key)
	if err != nil {
		return err
	}
	if q.Functions >= s.o.Limits.Functions {
		return popkv.Errorf(popkv.FunctionCountQuota, "the account has %d functions already", q.Functions)
	}
	q.Functions++
	tx.Put(key, encode(q))
	return s.checkCodeQuota(code)
}

func (s *Service) checkCodeQuota(code []byte) error {
	if len(code) > s.o.Limits.FunctionBytes {
		return popkv.Errorf(popkv.FunctionSizeQuota, "the function's code is longer than %d bytes", s.o.Limits.FunctionBytes)
	}
	return nil
}

// checkFunction checks what can be checked without looking anything up.
func (s *Service) checkFunction(c FunctionConfig, code []byte) error {
	switch {
	case utf8.RuneCountInString(c.Comment) > maxFunctionComment:
		return popkv.Errorf(popkv.Invalid, "the comment is longer than %d characters", maxFunctionComment)
	case c.Runtime != Runtime1 && c.Runtime != Runtime2:
		return popkv.Errorf(popkv.Invalid, "the Runtime is neither %s nor %s", Runtime1, Runtime2)
	case len(code) == 0 || len(code) > max(maxModelCode, s.o.Limits.FunctionBytes):
		return popkv.Errorf(popkv.Invalid, "the FunctionCode is empty or longer than any function may be")
	case len(c.Stores) > 1:
		return popkv.Errorf(popkv.Invalid, "a function can be associated with one key value store only")
	case len(c.Stores) == 1 && c.Runtime == Runtime1:
		return popkv.Errorf(popkv.Invalid, "a key value store can be associated with a function of runtime %s only", Runtime2)
	}
	return nil
}

// associate makes the DEVELOPMENT stage refer to the store of the config, and
// no longer to the store old. It returns the store's id, or "".
func (s *Service) associate(tx *journal.Tx, account, name, old string, config FunctionConfig) (string, error) {
	store := ""
	if len(config.Stores) == 1 {
		id, err := s.associable(tx, account, name, config.Stores[0])
		if err != nil {
			return "", err
		}
		store = id.String()
	}
	return store, reference{tx, account, name}.move(old, store, Development)
}

// associable returns the store of an ARN, if a function may name it.
func (s *Service) associable(tx *journal.Tx, account, name, arn string) (popkv.StoreID, error) {
	invalid := func(why string) error { return popkv.Errorf(popkv.Invalid, "KeyValueStoreAssociationArn %s", why) }
	parsed, err := popkv.ParseARN(arn)
	if err != nil || len(arn) > maxStoreARN {
		return popkv.StoreID{}, invalid("is not the ARN of a key value store")
	}
	id, ok := parsed.StoreID()
	if !ok {
		return id, invalid("is not the ARN of a key value store")
	}
	c, ok, err := get[control](tx, journal.ControlKey(id))
	switch {
	case err != nil:
		return id, err
	case !ok || c.Account != account || parsed.Account != account:
		return id, invalid("names no key value store of the account")
	case c.Status != popkv.Ready:
		return id, invalid(popkv.StoreARN(account, id).String() + " cannot be associated before the resource is provisioned")
	}
	others := 0
	for _, r := range c.Referrers {
		if r.Function != name {
			others++
		}
	}
	if others >= s.o.Limits.FunctionsPerStore {
		return id, invalid("names a key value store that has as many functions as it may have")
	}
	return id, nil
}

// DescribeFunction returns one stage of a function.
func (s *Service) DescribeFunction(ctx context.Context, t Target, stage Stage) (Function, error) {
	found, _, err := s.GetFunction(ctx, t, stage)
	return found, err
}

// GetFunction returns one stage of a function, and its code. Failures:
// [popkv.Invalid], [popkv.FunctionNotFound], also for a stage that the function
// does not have.
func (s *Service) GetFunction(ctx context.Context, t Target, stage Stage) (Function, []byte, error) {
	var found Function
	var text []byte
	err := s.j.Catalog(ctx, func(tx *journal.Tx) error {
		f, err := t.function(tx)
		if err != nil {
			return err
		}
		c := f.at(stage)
		if c == nil {
			return noSuchFunction()
		}
		text = c.Code
		found, err = s.showFunction(tx, t.ARN.Account, t.Name, f, stage)
		return err
	})
	return found, text, err
}

// function reads the record of a target.
func (t *Target) function(tx *journal.Tx) (*function, error) {
	if err := checkName(t.Name); err != nil {
		return nil, err
	}
	return functionByName(tx, t.ARN.Account, t.Name)
}

// UpdateFunction replaces code and config of the stage DEVELOPMENT, all of it:
// a config without association takes an association away. ifMatch must be the
// ETag of DEVELOPMENT. The version moves also when nothing differs.
//
// Failures, in order: [popkv.Invalid], [popkv.FunctionNotFound],
// [popkv.BadETag], [popkv.StaleETag], [popkv.Invalid] (the association),
// [popkv.FunctionSizeQuota].
//
// Source: CloudFront UpdateFunction (documented); the whole config is observed.
func (s *Service) UpdateFunction(ctx context.Context, t Target, ifMatch string, config FunctionConfig, text []byte) (Function, error) {
	if err := s.checkFunction(config, text); err != nil {
		return Function{}, err
	}
	return s.changeFunction(ctx, t, ifMatch, Development, func(tx *journal.Tx, f *function) error {
		d := &f.Development
		store, err := s.associate(tx, t.ARN.Account, t.Name, d.Store, config)
		if err != nil {
			return err
		}
		if err := s.checkCodeQuota(text); err != nil {
			return err
		}
		*d = code{
			Comment: config.Comment, Runtime: config.Runtime, Store: store, Code: text,
			Version: d.Version + 1, CreatedMS: d.CreatedMS, ModifiedMS: max(tx.Now().UnixMilli(), d.ModifiedMS),
		}
		return nil
	})
}

// PublishFunction makes the stage LIVE a copy of DEVELOPMENT, with its ETag.
// ifMatch must be the ETag of DEVELOPMENT.
//
// Failures, in order: [popkv.Invalid], [popkv.FunctionNotFound],
// [popkv.BadETag], [popkv.StaleETag].
//
// Source: CloudFront PublishFunction (documented); the ETags are observed.
func (s *Service) PublishFunction(ctx context.Context, t Target, ifMatch string) (Function, error) {
	return s.changeFunction(ctx, t, ifMatch, Live, func(tx *journal.Tx, f *function) error {
		now := tx.Now().UnixMilli()
		live, old := f.Development, ""
		live.CreatedMS, live.ModifiedMS = now, now
		if f.Live != nil {
			live.CreatedMS, old = f.Live.CreatedMS, f.Live.Store
			live.ModifiedMS = max(now, f.Live.ModifiedMS)
		}
		f.Live = &live
		return reference{tx, t.ARN.Account, t.Name}.move(old, live.Store, Live)
	})
}

// changeFunction changes a function under the ETag of DEVELOPMENT and returns
// a stage of what it has become.
func (s *Service) changeFunction(ctx context.Context, t Target, ifMatch string, show Stage, change func(*journal.Tx, *function) error) (Function, error) {
	var changed Function
	err := s.j.Catalog(ctx, func(tx *journal.Tx) error {
		f, err := t.function(tx)
		if err != nil {
			return err
		}
		if err := f.Development.matches(ifMatch); err != nil {
			return err
		}
		if err := change(tx, f); err != nil {
			return err
		}
		tx.Put(journal.FunctionKey(t.ARN.Account, t.Name), encode(f))
		changed, err = s.showFunction(tx, t.ARN.Account, t.Name, f, show)
		return err
	})
	return changed, err
}

// DeleteFunction removes both stages. ifMatch must be the ETag of DEVELOPMENT.
//
// Failures, in order: [popkv.Invalid], [popkv.FunctionNotFound],
// [popkv.BadETag], [popkv.StaleETag], [popkv.FunctionInUse].
//
// Source: CloudFront DeleteFunction (documented); the message of a function in
// use is observed.
func (s *Service) DeleteFunction(ctx context.Context, t Target, ifMatch string) error {
	return s.j.Catalog(ctx, func(tx *journal.Tx) error {
		f, err := t.function(tx)
		if err != nil {
			return err
		}
		if err := f.Development.matches(ifMatch); err != nil {
			return err
		}
		routes, err := s.o.Routes(tx, t.ARN.Account, t.Name)
		if err != nil {
			return err
		}
		if routes > 0 {
			return popkv.Errorf(popkv.FunctionInUse, "Cannot delete function %s, it is in use by %d distributions", t.Name, routes)
		}
		return removeFunction(tx, t.ARN.Account, t.Name, f)
	})
}

func removeFunction(tx *journal.Tx, account, name string, f *function) error {
	refers := reference{tx, account, name}
	if err := refers.set(f.Development.Store, Development, false); err != nil {
		return err
	}
	if f.Live != nil {
		if err := refers.set(f.Live.Store, Live, false); err != nil {
			return err
		}
	}
	key := journal.CounterKey(account)
	q, _, err := get[counters](tx, key)
	if err != nil {
		return err
	}
	q.Functions = max(0, q.Functions-1)
	tx.Put(key, encode(q))
	tx.Delete(journal.FunctionKey(account, name))
	return nil
}

// showFunction returns what is shown of a stage that the function has.
func (s *Service) showFunction(tx *journal.Tx, account, name string, f *function, stage Stage) (Function, error) {
	routes, err := s.o.Routes(tx, account, name)
	if err != nil {
		return Function{}, err
	}
	c := f.at(stage)
	status := "UNASSOCIATED"
	switch {
	case stage == Development && (f.Live == nil || f.Live.Version != c.Version):
		status = "UNPUBLISHED"
	case routes > 0:
		status = "DEPLOYED"
	}
	shown := Function{
		Account: account, Name: name, Stage: stage, Status: status,
		Config:  FunctionConfig{Comment: c.Comment, Runtime: c.Runtime},
		Created: time.UnixMilli(c.CreatedMS).UTC(), LastModified: time.UnixMilli(c.ModifiedMS).UTC(), Version: c.Version,
	}
	if id, ok := popkv.ParseStoreID(c.Store); ok {
		shown.Config.Stores = []string{popkv.StoreARN(account, id).String()}
	}
	return shown, nil
}
