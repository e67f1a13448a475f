package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/spf13/cobra"

	"github.com/popkv/popkv"
	"github.com/popkv/popkv/internal/config"
	"github.com/popkv/popkv/internal/controlplane"
	"github.com/popkv/popkv/internal/journal"
	"github.com/popkv/popkv/internal/journal/pebblejournal"
)

// A backupRow is what a backup holds.
type backupRow struct {
	Created        time.Time `json:"Created"`
	Stores         int       `json:"Stores"`
	Items          int       `json:"Items"`
	SizeBytes      int64     `json:"SizeBytes"`
	CatalogRecords int       `json:"CatalogRecords"`
}

func newBackupRow(m journal.Manifest) backupRow {
	row := backupRow{Created: m.Created, Stores: len(m.Stores), CatalogRecords: m.CatalogRecords}
	for _, s := range m.Stores {
		row.Items += s.Items
		row.SizeBytes += s.SizeBytes
	}
	return row
}

func (backupRow) header() []string {
	return []string{"Created", "Stores", "Items", "SizeBytes", "CatalogRecords"}
}

func (r backupRow) cells() []string {
	return []string{timestamp(r.Created), strconv.Itoa(r.Stores), strconv.Itoa(r.Items), strconv.FormatInt(r.SizeBytes, 10), strconv.Itoa(r.CatalogRecords)}
}

// A backupCommand holds what the verbs of `popkv backup` share.
type backupCommand struct {
	app *app
	out *output
}

func (a *app) backupCommand() *cobra.Command {
	b := &backupCommand{app: a}
	cmd := a.group("backup", "Back up all data, verify a backup, restore it", b.create(), b.verify(), b.restore())
	b.out = a.addOutput(cmd)
	return cmd
}

func (b *backupCommand) create() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create FILE", Short: "Write all data to a file, while the server goes on", Args: exactly(1),
		Long: `Write all data to a file, or to stdout for -. The backup is checked while it is
written, and the file is removed if it is not whole. Secrets in it are
encrypted: keep the secrets key file too, but in another place.

When a data directory is damaged and there is no backup, --accept-loss saves
what is left of it: the newest state that is whole, without the stores that are
damaged. It says what is lost and changes nothing in the directory. Restore the
file to a new one: ETags that were handed out are not handed out again.`,
	}
	on := b.app.addKeeper(cmd)
	acceptLoss := cmd.Flags().Bool("accept-loss", false, "with --data-dir: save what is left of a damaged directory")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		source, done, err := b.source(cmd, on, *acceptLoss)
		if err != nil {
			return err
		}
		m, err := b.save(cmd.Context(), args[0], source)
		if err = errors.Join(err, done()); err != nil {
			return during(err, "back up")
		}
		if args[0] == "-" {
			fmt.Fprintf(b.app.stderr, "backed up %d stores\n", len(m.Stores))
			return nil
		}
		return one(b.out, newBackupRow(m))
	}
	return cmd
}

// source opens a backup as a stream: the server's answer, or what the journal
// of a data directory writes. done ends it.
func (b *backupCommand) source(cmd *cobra.Command, on *keeperFlags, acceptLoss bool) (stream io.Reader, done func() error, err error) {
	offline, err := on.isOffline(cmd)
	if err != nil {
		return nil, nil, err
	}
	ctx := cmd.Context()
	if offline {
		open, o := openJournal, journal.BackupOptions{Progress: b.app.showProgress("backed up")}
		if acceptLoss {
			open, o.Drop = b.salvage, b.drop
		}
		d, err := open(ctx, on.offline.dir, b.app.quietLogger())
		if err != nil {
			return nil, nil, err
		}
		r, w := io.Pipe()
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			_, err := d.journal.Backup(ctx, w, o)
			w.CloseWithError(err)
		}()
		return r, func() error { r.Close(); <-finished; return d.close() }, nil
	}
	if acceptLoss {
		return nil, nil, usagef(cmd, "--accept-loss is for a damaged data directory: name it with --data-dir")
	}
	m, err := on.server(cmd)
	if err != nil {
		return nil, nil, err
	}
	answer, err := m.send(ctx, http.MethodGet, "backup", nil)
	if err != nil {
		return nil, nil, during(err, "back up")
	}
	return answer.Body, answer.Body.Close, nil
}

// salvage opens what is left of a damaged directory, and says what is lost.
func (b *backupCommand) salvage(ctx context.Context, path string, log *slog.Logger) (*dataDir, error) {
	driver, err := pebblejournal.Salvage(path, pebblejournal.Options{Logger: log})
	if err != nil {
		return nil, err
	}
	if driver.Lost != "" {
		fmt.Fprintf(b.app.stderr, "accepting loss: %s\n", driver.Lost)
	}
	return journalOn(ctx, path, driver, slog.New(slog.DiscardHandler)) // its housekeeping is refused
}

// drop leaves a store out of a backup if it is damaged.
func (b *backupCommand) drop(id popkv.StoreID, cause error) bool {
	var damage *journal.Damage
	if !errors.As(cause, &damage) && !errors.Is(cause, pebblejournal.ErrDamaged) {
		return false
	}
	fmt.Fprintf(b.app.stderr, "accepting loss: store %s is left out: %s\n", id, printable(cause.Error()))
	return true
}

// save writes a backup to a new file, or to stdout, and checks it on the way.
func (b *backupCommand) save(ctx context.Context, path string, source io.Reader) (m journal.Manifest, err error) {
	if path == "-" {
		if isTerminal(b.app.stdout) {
			return m, codedError{exitUsage, errors.New("a backup is not for a terminal: name a file, or redirect stdout")}
		}
		return journal.VerifyBackup(ctx, io.TeeReader(source, b.app.stdout))
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return m, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	m, err = journal.VerifyBackup(ctx, io.TeeReader(source, file))
	return m, errors.Join(err, file.Sync(), file.Close(), syncDir(filepath.Dir(path)))
}

// syncDir makes a new file's name as durable as what is in it.
func syncDir(dir string) error {
	d, err := vfs.Default.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// openBackup opens a backup file, or stdin for -.
func (b *backupCommand) openBackup(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(b.app.stdin), nil
	}
	return os.Open(path)
}

func (b *backupCommand) verify() *cobra.Command {
	return &cobra.Command{
		Use: "verify FILE", Short: "Check that a backup is whole and undamaged", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, err := b.openBackup(args[0])
			if err != nil {
				return err
			}
			defer file.Close()
			m, err := journal.VerifyBackup(cmd.Context(), bufio.NewReader(file))
			if err != nil {
				return during(err, "verify backup %s", args[0])
			}
			return one(b.out, newBackupRow(m))
		},
	}
}

func (b *backupCommand) restore() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "restore FILE --data-dir DIR", Short: "Make a data directory from a backup", Args: exactly(1),
		Long: `Make a data directory from a backup. The directory must not exist or be empty.
Every store gets new ETags, so that none is handed out twice. Put the secrets
key file of the backed-up server beside it before the server is started.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				return usagef(cmd, "name the new data directory with --data-dir")
			}
			m, err := b.restoreTo(cmd.Context(), args[0], dir)
			if err != nil {
				return during(err, "restore %s to %s", args[0], dir)
			}
			fmt.Fprintf(b.app.stderr, "restored to %s; its secrets key file belongs at %s\n", dir, config.SecretsKeyFileOf(dir))
			return one(b.out, newBackupRow(m))
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "", "directory to make")
	return cmd
}

func (b *backupCommand) restoreTo(ctx context.Context, path, dir string) (m journal.Manifest, err error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return m, fmt.Errorf("%s is not empty: restore into a new directory", dir)
	}
	file, err := b.openBackup(path)
	if err != nil {
		return m, err
	}
	defer file.Close()
	from := path
	if from == "-" {
		from = "stdin"
	}
	fmt.Fprintf(b.app.stderr, "restoring %s to data directory %s\n", from, dir)
	driver, err := pebblejournal.Open(dir, pebblejournal.Options{Logger: b.app.quietLogger()})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, driver.Close()) }()
	m, err = journal.RestoreTo(ctx, bufio.NewReader(file), driver, journal.RestoreOptions{Raise: controlplane.Raise, Forget: controlplane.Forget})
	if err != nil {
		err = fmt.Errorf("%w; %s is of no use now, remove it", err, dir)
	}
	return m, err
}
