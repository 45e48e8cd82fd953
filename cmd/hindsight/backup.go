package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/codec"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/selection"
	"hindsight/chain/source"
	"hindsight/chain/store"
)

// backupOptions are the options of backup, full and incremental.
type backupOptions struct {
	mode           backup.Mode
	rules          rules
	volumeSize     int64 // MiB
	level          int
	fullIfOlder    string
	allowMismatch  bool
	maxBlock       int
	noFilesChanged bool
	noStatistics   bool
	copyLinks      bool
	numericOwner   bool
	dryRun         bool
	ignoreErrors   bool
	force          bool
}

func newBackup(j *job) *cobra.Command {
	return newBackupMode(j, backup.Auto, operation{
		use: "backup SOURCE URL", aliases: []string{"bu"}, short: "Back up a directory: what changed if there is a full backup, else all of it",
		example: "  PASSPHRASE=... hindsight backup /home file:///srv/backup\n" +
			"  hindsight backup --no-encryption --full-if-older-than 1M --exclude '**/cache' /home file:///srv/backup",
	})
}

func newFull(j *job) *cobra.Command {
	return newBackupMode(j, backup.Full, operation{
		use: "full SOURCE URL", aliases: []string{"fb"}, short: "Back up all of a directory",
		example: "  PASSPHRASE=... hindsight full /home file:///srv/backup",
	})
}

func newIncremental(j *job) *cobra.Command {
	return newBackupMode(j, backup.Incremental, operation{
		use: "incremental SOURCE URL", aliases: []string{"inc", "incr", "ib"}, short: "Back up what changed in a directory",
		example: "  PASSPHRASE=... hindsight incremental /home file:///srv/backup",
	})
}

func newBackupMode(j *job, mode backup.Mode, op operation) *cobra.Command {
	o := &backupOptions{mode: mode}
	op.long = op.short + ".\n\nThe backup is encrypted with PASSPHRASE of the environment, or to the keys of --encrypt-key,\n" +
		"unless --no-encryption is given. duplicity can restore and continue it."
	op.writes = true
	op.addFlags = o.addFlags
	op.run = func(ctx context.Context, args []string) error { return o.run(ctx, j, args[0], args[1]) }
	return j.build(op)
}

func (o *backupOptions) addFlags(fs *pflag.FlagSet) {
	o.rules.addFlags(fs)
	fs.Int64Var(&o.volumeSize, "volsize", chain.DefaultVolumeSize>>20, "size of volumes in `MB` (of 1024*1024 bytes)")
	fs.IntVar(&o.level, "compression-level", 0, fmt.Sprintf("compress `N`: 1 is fast, 9 is small (default %d, encrypted %d)",
		codec.DefaultLevel(codec.Format{Compressed: true}), codec.DefaultLevel(codec.Format{Compressed: true, Encrypted: true})))
	if o.mode == backup.Auto {
		fs.StringVar(&o.fullIfOlder, "full-if-older-than", "", "make a full backup if the last is older than `TIME`, such as 1M")
	}
	fs.BoolVar(&o.allowMismatch, "allow-source-mismatch", false, "continue the backup of another host or directory")
	fs.IntVar(&o.maxBlock, "max-blocksize", 0, "largest block of signatures in `BYTES` (0: no limit)")
	fs.BoolVar(&o.noFilesChanged, "no-files-changed", false, "leave the list of changed files out of the manifest")
	fs.BoolVar(&o.noStatistics, "no-print-statistics", false, "print no statistics at the end")
	fs.BoolVar(&o.copyLinks, "copy-links", false, "store what symbolic links lead to in their place")
	fs.BoolVar(&o.numericOwner, "numeric-owner", false, "compare owners by number, not by name")
	fs.BoolVar(&o.dryRun, "dry-run", false, "say what would be done, and write nothing")
	fs.BoolVar(&o.ignoreErrors, "ignore-errors", false, "accepted as duplicity has it: a file that cannot be read is a warning anyway")
	fs.BoolVar(&o.force, "force", false, "accepted as duplicity has it, without effect")
	hide(fs, "ignore-errors", "force")
}

// run makes one backup.
func (o *backupOptions) run(ctx context.Context, j *job, src, url string) (err error) {
	if err := j.opt.checkEncryption(); err != nil {
		return err
	}
	if err := o.check(src, url); err != nil {
		return err
	}
	opt := backup.Options{
		Mode: o.mode, Time: naming.TimeOf(j.currentTime()), AllowSourceMismatch: o.allowMismatch,
		NumericOwner: o.numericOwner, MaxBlock: o.maxBlock, DryRun: o.dryRun,
		Jobs: j.opt.jobs, Memory: int64(j.opt.memory) / 4, Warn: j.console.warn, Log: j.console.logger(),
		Progress: new(backup.Progress),
	}
	if opt.FullAfter, err = o.fullAfter(j, opt.Time); err != nil {
		return err
	}
	if opt.Hostnames, err = hostnames(j.env); err != nil {
		return err
	}
	opt.Source = source.Options{Root: src, CopyLinks: o.copyLinks, Jobs: j.opt.jobs, Logger: opt.Log}
	if err := o.rules.leaveOutOwn(j, src, url); err != nil {
		return err
	}
	if opt.Source.Select, err = o.rules.compile(j, selection.Options{Root: src}); err != nil {
		return err
	}
	repo, err := j.open(url, writing)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, repo.close()) }()
	opt.Repository = &repo.Repository
	if opt.Set, err = o.set(ctx, j, repo, opt); err != nil {
		return err
	}
	if !o.dryRun {
		if err := repo.create(); err != nil {
			return err
		}
	}
	opt.Set.LocalDir = filepath.Clean(src)
	if pool := opt.Set.Pool; pool != nil {
		defer pool.Close()
	}
	stop := j.watch(ctx, "backing up", func() progressState {
		return progressState{Files: opt.Progress.Files.Load(), Bytes: opt.Progress.Bytes.Load(), Stored: opt.Progress.Stored.Load()}
	})
	last := j.lastState(repo, &opt)
	stats, err := last.run(ctx, opt)
	stop()
	if err != nil {
		return errors.Join(explainBackup(repo, err), last.close())
	}
	if err := last.update(ctx, stats); err != nil {
		return err
	}
	if o.noStatistics || j.opt.quiet && !j.opt.json {
		return nil
	}
	return j.printStatistics(stats)
}

// explainBackup says of an error what a backup can do about it. A chain that cannot
// be read can always be followed by another.
func explainBackup(repo *repository, err error) error {
	var (
		corrupt *chain.CorruptError
		storage *store.Error
	)
	switch {
	case errors.Is(err, pgp.ErrNoSecretKey):
		return advise(err, "give --key-file or --gpg-homedir, or start a new chain with hindsight full")
	case errors.Is(err, pgp.ErrNoPassphrase), errors.Is(err, pgp.ErrWrongPassphrase):
		return advise(err, "check PASSPHRASE or --passphrase-file, or start a new chain with hindsight full")
	case errors.As(err, &corrupt), errors.Is(err, pgp.ErrDecrypt):
		return advise(err, "hindsight full starts a new chain")
	case errors.As(err, &storage) && storage.Op == "get" && errors.Is(err, store.ErrPermission):
		return advise(err, "these credentials may not read, and the local cache has no copy: hindsight full starts a new chain")
	case errors.Is(err, store.ErrNoSpace) && !strings.Contains(err.Error(), "local archive"):
		return fmt.Errorf("store %s: %w", repo.place, err)
	}
	return err
}

// check refuses what is plainly a mistake before anything is opened.
func (o *backupOptions) check(src, url string) error {
	switch {
	case hasScheme(src) && hasScheme(url):
		return usagef("SOURCE %q is a URL: write the path of a directory", hideUser(src))
	case hasScheme(src):
		return usagef("SOURCE %q is a URL: the directory comes first, then the URL", hideUser(src))
	case o.level < 0 || o.level > 9: // 0 is what it is if not given
		return usagef("--compression-level %d: want 1 to 9", o.level)
	case o.volumeSize < 1 || o.volumeSize > 1<<20:
		return usagef("--volsize %d: want 1 to 1048576 MB", o.volumeSize)
	case o.maxBlock < 0:
		return usagef("--max-blocksize %d: want 0 or more", o.maxBlock)
	}
	if _, err := parseURL(url); err != nil {
		return err
	}
	if _, err := os.Stat(src); errors.Is(err, fs.ErrNotExist) {
		return failf(exitNoSource, "source %q does not exist", src)
	} else if err != nil {
		return fmt.Errorf("source: %w", err)
	}
	return nil
}

// fullAfter is the age at which a full backup is followed by another.
func (o *backupOptions) fullAfter(j *job, now naming.Time) (time.Duration, error) {
	if o.fullIfOlder == "" {
		return 0, nil
	}
	t, err := j.moment(o.fullIfOlder)
	if err != nil {
		return 0, err
	}
	return max(time.Duration(now-t)*time.Second, time.Second), nil
}

// set says how the new set is written. A quarter of the memory is for compression
// and one for uploads.
func (o *backupOptions) set(ctx context.Context, j *job, repo *repository, opt backup.Options) (chain.SetOptions, error) {
	set := chain.SetOptions{
		VolumeSize: o.volumeSize << 20, Level: o.level, NoChanges: o.noFilesChanged, Memory: int64(j.opt.memory) / 4,
		Format: codec.Format{Encrypted: !j.opt.noEncryption, Compressed: !j.opt.noCompression},
	}
	if o.dryRun {
		return set, nil
	}
	if set.Format.Encrypted {
		var err error
		if set.Session, err = j.session(ctx, repo, func() []byte { return repo.chainESK(ctx, opt) }); err != nil {
			return set, err
		}
	}
	set.Pool = codec.NewPool(j.opt.jobs, int64(j.opt.memory)/4)
	return set, nil
}

// session makes the keys of something new: those of the options, or a passphrase, with
// the salt of the chain's head if there is one.
func (j *job) session(ctx context.Context, repo *repository, chainESK func() []byte) (*pgp.Session, error) {
	to := pgp.Recipients{Keys: j.opt.encryptKeys, HiddenKeys: j.opt.hidden, SignKey: j.opt.signKey}
	to.Symmetric = len(to.Keys)+len(to.HiddenKeys) == 0
	var so pgp.SessionOptions
	if to.Symmetric {
		so.ESK = chainESK()
	}
	s, err := repo.Keys.NewSession(ctx, to, so)
	if errors.Is(err, pgp.ErrNoPassphrase) && to.Symmetric {
		return nil, failf(exitUsage, "no passphrase to encrypt with; set PASSPHRASE, or give --encrypt-key KEY, or --no-encryption")
	}
	if to.SignKey != "" && (errors.Is(err, pgp.ErrNoPassphrase) || errors.Is(err, pgp.ErrWrongPassphrase)) &&
		strings.Contains(err.Error(), "secret key") {
		err = advise(fmt.Errorf("signing key: %w", err), "set SIGN_PASSPHRASE, or PASSPHRASE if it is the same")
	}
	return s, err
}

// chainESK is the head of the chain that is to be continued, whose salt the new set
// shares so that reading the chain costs one key derivation; nil if there is none,
// or if a full is certain.
func (r *repository) chainESK(ctx context.Context, opt backup.Options) []byte {
	if opt.Mode == backup.Full {
		return nil
	}
	col, err := chain.Load(ctx, r.Store, r.Scheme)
	if err != nil || col.Latest() == nil { // Run meets the error again
		return nil
	}
	ch := col.Latest()
	if opt.FullAfter > 0 && time.Duration(opt.Time-ch.Start())*time.Second >= opt.FullAfter {
		return nil
	}
	if !ch.Sets[0].Manifest.Encrypted {
		return nil
	}
	esk, err := r.esk(ctx, ch.Sets[0])
	if err != nil {
		return nil
	}
	return esk
}

// esk is the session key packets of an encrypted set.
func (r *repository) esk(ctx context.Context, s *chain.Set) ([]byte, error) {
	head, err := r.head(ctx, s.Manifest.Key)
	if err != nil {
		return nil, err
	}
	return pgp.ReadESK(head)
}

// hostnames are the names that this host goes by, the short one first
// (duplicity-format.md §2).
func hostnames(env Env) ([]string, error) {
	name, err := env.Hostname()
	if err != nil {
		return nil, fmt.Errorf("host name: %w", err)
	}
	short, _, _ := strings.Cut(name, ".")
	return slices.Compact([]string{short, name}), nil
}
