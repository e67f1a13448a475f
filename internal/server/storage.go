package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/access"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/memjournal"
	"github.com/popkv/popkv/internal/journal/pebblejournal"
	"github.com/popkv/popkv/internal/s3import"
)

// openStorage opens the driver and the journal on it.
func (s *Server) openStorage(ctx context.Context) error {
	driver := s.o.Driver
	switch {
	case driver != nil:
	case s.cfg.InMemory:
		mem := memjournal.New(memjournal.Options{})
		driver = mem
		s.closers = append(s.closers, mem.Close)
	default:
		pebble, err := pebblejournal.Open(s.cfg.DataDir, pebblejournal.Options{Logger: s.log})
		if err != nil {
			return err // names the directory
		}
		driver = pebble
		s.closers = append(s.closers, pebble.Close)
	}
	j, err := journal.Open(ctx, driver, journal.Options{
		Logger:            s.log,
		Now:               s.o.Now,
		MemoryBudgetBytes: s.cfg.Memory.BudgetBytes,
		HistoryVersions:   s.cfg.History.Versions,
		HistoryAge:        s.cfg.History.Age,
	})
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	s.journal, s.driver = j, driver
	s.closers = append(s.closers, j.Close)
	return nil
}

// importSource is where CreateKeyValueStore reads documents from, nil if
// nothing is configured.
func (s *Server) importSource() (s3import.Source, error) {
	cfg := s.cfg
	switch {
	case cfg.S3.Endpoint != "" && cfg.ImportDir != "":
		return nil, errors.New("s3.endpoint and import_dir are both set: imports come from one place, unset the other")
	case cfg.S3.Endpoint != "":
		return s3import.NewS3(s3import.S3Options{
			Endpoint:        cfg.S3.Endpoint,
			Region:          cfg.S3.Region,
			AccessKeyID:     cfg.S3.AccessKeyID,
			SecretAccessKey: cfg.S3.SecretAccessKey.Reveal(),
		})
	case cfg.ImportDir != "":
		folder, err := s3import.OpenFolder(cfg.ImportDir)
		if err != nil {
			return nil, err
		}
		s.closers = append(s.closers, folder.Close)
		return folder, nil
	}
	return nil, nil
}

// openDirectory opens the access keys and makes sure that someone can sign.
func (s *Server) openDirectory(ctx context.Context) error {
	keyFile := s.cfg.SecretsKeyFile
	if s.o.Driver != nil || s.cfg.InMemory {
		keyFile = "" // nothing outlives the process
	}
	directory, err := access.Open(ctx, s.journal, access.Options{
		Logger:  s.log,
		Now:     s.o.Now,
		KeyFile: keyFile,
		Root: access.Credentials{
			AccessKeyID: s.cfg.RootAccessKeyID,
			Secret:      s.cfg.RootSecretAccessKey,
		},
		RootAccount: s.cfg.AccountID,
	})
	if err != nil {
		return fmt.Errorf("open access keys: %w", err)
	}
	s.directory = directory
	if directory.HasRootKey(s.cfg.AccountID) {
		return nil
	}
	return s.firstRootKey(ctx)
}

// firstRootKey makes the account's root key and shows it, once. Without a
// terminal the secret would end in a log, so it is not made.
func (s *Server) firstRootKey(ctx context.Context) error {
	switch {
	case s.o.Terminal == nil && s.cfg.InMemory:
		return fmt.Errorf("account %s has no root access key, and there is no terminal to show a new one on: "+
			"set POPKV_ROOT_ACCESS_KEY_ID and POPKV_ROOT_SECRET_ACCESS_KEY", s.cfg.AccountID)
	case s.o.Terminal == nil:
		return fmt.Errorf("account %[1]s has no root access key, and there is no terminal to show a new one on: "+
			"set POPKV_ROOT_ACCESS_KEY_ID and POPKV_ROOT_SECRET_ACCESS_KEY, or make a key with "+
			"`popkv access-key create --account %[1]s --user root --data-dir %[2]s` while the server is stopped", s.cfg.AccountID, s.cfg.DataDir)
	}
	key, err := s.directory.CreateKey(ctx, access.KeyRequest{Account: s.cfg.AccountID, User: popkv.RootUser})
	if err != nil {
		return fmt.Errorf("make the root access key: %w", err)
	}
	_, err = fmt.Fprintf(s.o.Terminal, `The root access key of account %s, shown this once:

  AWS_ACCESS_KEY_ID=%s
  AWS_SECRET_ACCESS_KEY=%s

Keep it in a safe place. Make keys with fewer rights with `+"`popkv access-key create`"+`.

`, s.cfg.AccountID, key.AccessKeyID, key.Secret.Reveal())
	if err != nil { // nobody has seen the key: the next start makes another
		return errors.Join(fmt.Errorf("show the root access key: %w", err), s.directory.RemoveKey(ctx, s.cfg.AccountID, key.AccessKeyID))
	}
	return nil
}
