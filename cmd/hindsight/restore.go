package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"hindsight/chain/extract"
	"hindsight/chain/naming"
	"hindsight/chain/selection"
	"hindsight/chain/store"
)

// restoreOptions are the options of restore.
type restoreOptions struct {
	rules        rules
	time         string
	paths        []string
	rename       renames
	force        bool
	ignoreErrors bool
	noOwnership  bool
	numericOwner bool
	dryRun       bool
	thaw         bool
	thawDays     int
	leave        leaveOptions

	inPlace, verifyExisting, delete bool
	readBack                        bool

	own map[string]string // the directories that the repository uses on this machine
}

// leaveOptions say what of that which portable indexes alone know is left alone.
type leaveOptions struct{ times, xattrs, acls, links bool }

func (o *leaveOptions) addFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&o.times, "no-exact-times", false, "restore times in whole seconds, as duplicity does")
	fs.BoolVar(&o.xattrs, "no-xattrs", false, "leave extended attributes out")
	fs.BoolVar(&o.acls, "no-acls", false, "leave access control lists out")
	fs.BoolVar(&o.links, "no-hard-links", false, "restore every name of a file as a file of its own")
}

// extras is what is restored of the rest.
func (o *leaveOptions) extras(sink extract.ExtraSink) extract.Extras {
	return extract.Extras{Times: !o.times, Hashes: true, Sink: sink, Xattrs: !o.xattrs, ACLs: !o.acls, Links: !o.links}
}

func newRestore(j *job) *cobra.Command {
	o := &restoreOptions{}
	return j.build(operation{
		use: "restore URL TARGET", aliases: []string{"rb"}, short: "Restore a directory, or one path of it",
		long: "Restore a directory, or one path of it, as it was at a time.\n\n" +
			"TARGET must be missing or empty, or --force be given, which replaces what is in the way.\n" +
			"With --path-to-restore it names the restored file or directory itself, such as /tmp/fstab; given several times,\n" +
			"each path keeps its place below TARGET. Patterns of --include and --exclude are relative to the root of the backup.\n" +
			"--rename OLD NEW gives a path another name within TARGET.\n" +
			"With --ignore-errors everything that can be saved is: each file that is lost is named,\n" +
			"with those of its bytes that are lost if the backup has portable indexes, and the exit code is 1.",
		example: "  hindsight restore file:///srv/backup /tmp/restored\n" +
			"  hindsight restore --time 3D --path-to-restore etc/fstab file:///srv/backup /tmp/fstab",
		addFlags: o.addFlags,
		run:      func(ctx context.Context, args []string) error { return o.run(ctx, j, args[0], args[1]) },
	})
}

func (o *restoreOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.time, "time", "t", "", "restore the state at `TIME`: now, 3D (days ago), 2026-11-20, 20261120T030000Z, ...")
	fs.StringArrayVarP(&o.paths, "path-to-restore", "r", nil, "restore only `PATH` of the backup: it becomes TARGET; of several each keeps its place below TARGET")
	fs.Var(&o.rename, "rename", "restore OLD, a path within TARGET, as `OLD NEW` says; may be repeated")
	fs.BoolVar(&o.force, "force", false, "restore into a target that has files, replacing what is in the way")
	fs.BoolVar(&o.inPlace, "in-place", false, "restore onto a target that has files: only what differs is read and written; also goes on with a restore that was interrupted")
	fs.BoolVar(&o.verifyExisting, "verify-existing", false, "with --in-place: go by the contents of what is there, not by size and time")
	fs.BoolVar(&o.delete, "delete", false, "with --in-place: delete what the backup does not have")
	fs.BoolVar(&o.readBack, "read-back", false, "read all files from the disk at the end, and compare them with what the backup says")
	fs.BoolVar(&o.ignoreErrors, "ignore-errors", false, "go on when a volume is missing or damaged")
	fs.BoolVar(&o.noOwnership, "no-restore-ownership", false, "leave owners as they come")
	fs.BoolVar(&o.numericOwner, "numeric-owner", false, "restore owners by number, not by name")
	fs.BoolVar(&o.dryRun, "dry-run", false, "list the volumes that are needed, say how long it may take and what must be thawed, and write nothing")
	fs.BoolVar(&o.thaw, "thaw", false, "ask for what is in an archive class of S3, and wait until it can be read")
	fs.IntVar(&o.thawDays, "thaw-days", 7, "have it readable for `N` days")
	o.leave.addFlags(fs)
	o.rules.addFlags(fs)
}

// run makes one restore.
func (o *restoreOptions) run(ctx context.Context, j *job, url, target string) (err error) {
	filter, err := o.filter(j, url, target)
	if err != nil {
		return err
	}
	if err := o.checkInPlace(); err != nil {
		return err
	}
	at, err := j.stateTime(o.time)
	if err != nil {
		return err
	}
	if target == "" {
		return usagef("TARGET is empty")
	}
	if o.thawDays < 1 || o.thawDays > maxThawDays {
		return usagef("--thaw-days %d: want 1 to %d", o.thawDays, maxThawDays)
	}
	o.own = j.ownDirs(url)
	if err := checkApart(target, o.own); err != nil {
		return err
	}
	if !o.dryRun {
		if err := checkTarget(target, o.force || o.inPlace); err != nil {
			return err
		}
	}
	repo, err := j.open(url, reading)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, repo.close()) }()
	repo.SignKey = j.opt.signKey
	sets, err := j.state(ctx, repo, at)
	if err != nil {
		return err
	}
	var f *forecast
	if o.dryRun {
		if f, err = o.forecast(ctx, j, repo, sets, filter); err != nil {
			return err
		}
		if !(o.inPlace && exists(target)) {
			return f.print(j)
		}
	} else {
		if err := o.warm(ctx, j, repo, sets, filter); err != nil {
			return err
		}
		j.left = "restore --in-place goes on with it"
		j.console.notice("Restoring the state of %s (%s)", stamp(sets[len(sets)-1].End), composition(sets))
	}
	return o.extract(ctx, j, extract.Options{Repository: &repo.Repository, Sets: sets, Filter: filter}, target, f)
}

// extract runs the engine into the target; a dry run has a forecast.
func (o *restoreOptions) extract(ctx context.Context, j *job, opt extract.Options, target string, f *forecast) (err error) {
	open := extract.NewDisk
	if o.dryRun {
		open = extract.OpenDisk
	}
	disk, err := open(target, extract.DiskOptions{
		NumericOwner: o.numericOwner, NoOwnership: o.noOwnership, Replace: o.force || o.inPlace, VerifyExisting: o.verifyExisting,
		Note: func(text string) { j.console.warn("", errors.New(text)) },
	})
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	sink := o.rename.place(disk, target, opt.Filter)
	opt.Extras = o.leave.extras(placedExtras{sink, disk})
	sink.file = fileTarget(target, sink.root, o.force)
	opt.Sink = sink
	opt.IgnoreErrors, opt.Lost = o.ignoreErrors, j.lost
	opt.Jobs, opt.Memory, opt.Ahead = j.opt.jobs, int64(j.opt.memory)/4, int64(j.opt.memory)/4
	opt.Log, opt.Progress = j.console.logger(), new(extract.Progress)
	if o.inPlace {
		run := inPlaceRun{restoreOptions: o, job: j, disk: disk, opt: opt, target: target, root: sink.root, forecast: f}
		opt.InPlace = true
		opt.Inspected = func(p *extract.Plan) error { return run.inspected(ctx, p) }
	}
	stop := j.watchExtract(ctx, "restoring", opt.Progress)
	result, err := extract.Run(ctx, opt)
	if err == nil {
		err = sink.finish(disk)
	}
	stop()
	if errors.Is(err, errDryRun) {
		return nil
	}
	if err != nil {
		return o.explain(j, target, err)
	}
	if err := o.conclude(j, opt, result); err != nil || !o.readBack {
		return err
	}
	return o.compareBack(ctx, j, opt, target)
}

// watchExtract shows the progress of a run of the engine.
func (j *job) watchExtract(ctx context.Context, verb string, p *extract.Progress) (stop func()) {
	return j.watch(ctx, verb, func() progressState {
		return progressState{
			Files: p.Files.Load(), Bytes: p.Bytes.Load(), Stored: p.StoredBytes.Load(), TotalStored: p.TotalBytes.Load(),
			Volumes: p.Volumes.Load(), TotalVolumes: p.TotalVolumes.Load(),
		}
	})
}

// explain says of an error what a restore can do about it.
func (o *restoreOptions) explain(j *job, target string, err error) error {
	var (
		storage *store.Error
		file    *fs.PathError
	)
	name, damaged := j.damaged(err)
	switch {
	case damaged && name.Kind == naming.Manifest && !o.ignoreErrors:
		return advise(err, "restore --ignore-errors saves what it can, and an earlier --time may do without it")
	case errors.Is(err, unix.ENOSPC) && !errors.As(err, &storage) && !errors.As(err, &file):
		return fmt.Errorf("target %s: %w", target, err)
	}
	return err
}

// conclude says how a restore ended.
func (o *restoreOptions) conclude(j *job, opt extract.Options, result extract.Result) error {
	var absent string
	if chosen, ok := opt.Filter.(chosenPaths); ok {
		absent = chosen.absent()
	}
	if absent != "" && !result.Found || o.matchedNothing(opt.Filter) || !result.Found && result.Lost == 0 {
		return o.nothing(opt.Filter)
	}
	j.console.notice("Restored %s, %s", plural(result.Files, "file"), ibytes(result.Bytes))
	if j.opt.json {
		r := restored{
			Type: "restore", Time: opt.Sets[len(opt.Sets)-1].End.Time().UTC(), Files: result.Files, Bytes: result.Bytes,
			Read: opt.Progress.StoredBytes.Load(), Kept: result.Kept, Lost: result.Lost,
		}
		if err := j.printJSON(r); err != nil {
			return err
		}
	}
	switch {
	case result.Lost > 0:
		return failf(exitFailure, "%s could not be restored; all else was", plural(result.Lost, "path"))
	case absent != "":
		return failf(exitNoPath, "%s not in the backup at that time; all else was restored", absent)
	}
	return nil
}

// nothing is the error of a restore for which the backup has nothing.
func (o *restoreOptions) nothing(f extract.Filter) error {
	if chosen, ok := f.(chosenPaths); ok && chosen.absent() != "" {
		return failf(exitNoPath, "%s not in the backup at that time; hindsight list shows what is", chosen.absent())
	}
	if o.matchedNothing(f) {
		return failf(exitNoPath, "nothing in the backup is chosen by the --include and --exclude options; their patterns are relative to the root of the backup")
	}
	return failf(exitNothing, "the backup is empty at that time")
}

// matchedNothing reports whether rules left out all that was there.
func (o *restoreOptions) matchedNothing(f extract.Filter) bool {
	s, ok := f.(*selected)
	return ok && s.seen.Load() && !s.wanted.Load()
}

// restored is what a restore did, as JSON. Sizes are in bytes.
type restored struct {
	Type  string    `json:"type"` // restore
	Time  time.Time `json:"time"` // of the newest set
	Files int64     `json:"files"`
	Bytes int64     `json:"bytes"`
	Read  int64     `json:"stored_bytes_read"`
	Kept  int64     `json:"files_kept,omitempty"` // with --in-place: that were there
	Lost  int64     `json:"lost"`                 // paths
}

// filter says what to restore of the backup.
func (o *restoreOptions) filter(j *job, url, target string) (extract.Filter, error) {
	switch {
	case hasScheme(target) && hasScheme(url):
		return nil, usagef("TARGET %q is a URL: write the path of a directory", hideUser(target))
	case hasScheme(target):
		return nil, usagef("TARGET %q is a URL: the URL comes first, then the directory", hideUser(target))
	}
	if len(o.paths) > 0 {
		if len(o.rules.list) > 0 {
			return nil, usagef("--path-to-restore does not go with --include, --exclude and their like")
		}
		return newChosenPaths(o.paths)
	}
	sel, err := o.rules.compile(j, selection.Options{Relative: true})
	if err != nil || sel == nil {
		return extract.Everything{}, err
	}
	return newSelected(sel), nil
}

// cleanPath is a path of the backup as its archives have it.
func cleanPath(arg string) (string, error) {
	if strings.HasPrefix(arg, "/") {
		return "", usagef("path %q: must be relative to the root of the backup", arg)
	}
	parts := strings.Split(arg, "/")
	if slices.Contains(parts, "..") || strings.ContainsRune(arg, 0) {
		return "", usagef("path %q: must not have a component %q, nor a NUL", arg, "..")
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" || s == "." })
	return strings.Join(parts, "/"), nil
}
