package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/controlplane"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/s3import"
	"github.com/popkv/popkv/internal/snapshot"
)

// Seed makes a store of every NAME.json in the seed directory, unless the
// account has a store of that name. The files are import documents. It returns
// the names of the stores that it made; a missing directory is none. All files
// are read before the first store is made, so a bad one changes nothing.
func (s *Server) Seed(ctx context.Context) ([]string, error) {
	if s.cfg.SeedDir == "" {
		return nil, nil
	}
	entries, err := os.ReadDir(s.cfg.SeedDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("seed: %w", err)
	}
	items := map[string][]popkv.Item{}
	var names []string
	for _, e := range entries {
		name, isSeed := strings.CutSuffix(e.Name(), ".json")
		if !isSeed {
			continue
		}
		file := filepath.Join(s.cfg.SeedDir, e.Name())
		if !popkv.IsName(name) {
			return nil, fmt.Errorf("seed %s: a store's name is 1 to 64 letters, digits, hyphens and underscores: rename the file", file)
		}
		if items[name], err = readSeed(file, s.cfg.Limits); err != nil {
			return nil, fmt.Errorf("seed %s: %w", file, err)
		}
		names = append(names, name)
	}
	slices.Sort(names)

	var made []string
	for _, name := range names {
		_, err := s.makeStore(ctx, name, items[name])
		if popkv.KindOf(err) == popkv.StoreExists {
			continue
		}
		if err != nil {
			return made, fmt.Errorf("seed store %s: %w", name, err)
		}
		made = append(made, name)
	}
	return made, nil
}

// MakeStore makes a store with the items of an import document in it, for the
// root user of the server's account. It is READY at once, whatever the delay of
// transient statuses is. A name that is taken fails with [popkv.StoreExists];
// when the items cannot be written there is no store.
func (s *Server) MakeStore(ctx context.Context, name string, document io.Reader) (popkv.ARN, error) {
	items, err := readItems(document, s.cfg.Limits)
	if err != nil {
		return popkv.ARN{}, err
	}
	return s.makeStore(ctx, name, items)
}

func (s *Server) makeStore(ctx context.Context, name string, items []popkv.Item) (popkv.ARN, error) {
	stores := controlplane.New(s.journal, controlplane.Options{Limits: s.cfg.Limits, Logger: s.log, Now: s.o.Now})
	root := popkv.Caller{Account: s.cfg.AccountID, User: popkv.RootUser}
	store, err := stores.Create(ctx, root, controlplane.NewStore{Name: name})
	if err != nil {
		return popkv.ARN{}, err
	}
	_, err = s.journal.Update(ctx, store.ID, root.ARN(), func(*journal.Head) (snapshot.Change, error) {
		return snapshot.Change{Puts: items}, nil
	})
	if err != nil {
		return popkv.ARN{}, errors.Join(err, remove(context.WithoutCancel(ctx), stores, store))
	}
	return popkv.StoreARN(store.Account, store.ID), nil
}

// remove deletes a store that was just made.
func remove(ctx context.Context, stores *controlplane.Service, store controlplane.Store) error {
	target, err := stores.Store(ctx, store.Account, store.Name)
	if err != nil {
		return err
	}
	return stores.Delete(ctx, target, store.ETag())
}

func readSeed(file string, limits popkv.Limits) ([]popkv.Item, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readItems(f, limits)
}

// readItems reads an import document, in which no key may be there twice.
func readItems(document io.Reader, limits popkv.Limits) (items []popkv.Item, err error) {
	seen := map[string]bool{}
	_, err = s3import.Read(document, limits, func(key, value []byte) error {
		if seen[string(key)] {
			return fmt.Errorf("the key %q is there twice", key)
		}
		seen[string(key)] = true
		items = append(items, popkv.Item{Key: string(key), Value: string(value)})
		return nil
	})
	return items, err
}
