package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"hindsight/chain/naming"
	"hindsight/fusefs"
	"hindsight/index"
	"hindsight/index/content"
)

// mountOptions are the options of mount.
type mountOptions struct {
	time      string
	template  string
	other     bool
	ownerRoot bool
	noPerms   bool
	force     bool
	prefetch  bool
	cacheSize size
	refresh   string
	daemon    bool
	logFile   string
}

func newMount(j *job) *cobra.Command {
	o := &mountOptions{}
	return j.build(operation{
		use: "mount URL MOUNTPOINT", short: "Show all backups as directories, read-only",
		long: "Show all backups below MOUNTPOINT, read-only, until it is unmounted: by Ctrl-C, SIGTERM, umount or fusermount3 -u.\n\n" +
			"Each backup is a directory named by its time in UTC, and \"latest\" leads to the newest; new ones appear by themselves.\n" +
			"Whatever --time of other commands takes is a name there, too: cd 3D, ls 2026-11-20, cat now/etc/fstab.\n" +
			"ls .versions/etc/fstab lists all versions of a path; .versions itself is not listed.\n" +
			"Where a file comes from: getfattr -n user.hindsight.set (or changed-at, volume) FILE.",
		example: "  hindsight mount file:///srv/backup /mnt\n" +
			"  hindsight mount --daemon --allow-other file:///srv/backup /mnt && ls /mnt/latest\n" +
			"  hindsight mount --time 3D file:///srv/backup /mnt",
		addFlags: o.addFlags,
		run:      func(ctx context.Context, args []string) error { return o.run(ctx, j, args[0], args[1]) },
	})
}

func (o *mountOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.time, "time", "t", "", "show only the state at `TIME`, at MOUNTPOINT itself: now, 3D (days ago), 2026-11-20, ...")
	fs.StringVar(&o.template, "snapshot-template", fusefs.DefaultTemplate, "name directories like `LAYOUT`, which is how the moment 2006-01-02 15:04:05 would look; in UTC")
	fs.BoolVar(&o.other, "allow-other", false, "let other users in, each to what the backed up owners and modes let him")
	fs.BoolVar(&o.ownerRoot, "owner-root", false, "show everything as root's")
	fs.BoolVar(&o.noPerms, "no-default-permissions", false, "show owners and modes, but let everybody who comes in read everything")
	fs.BoolVar(&o.force, "force", false, "mount over a directory that is not empty")
	fs.BoolVar(&o.prefetch, "prefetch", false, "find out sizes that only volumes tell in the background, not when they are asked for")
	fs.Var(&o.cacheSize, "cache-size", "keep up to this `SIZE` of what was fetched on disk, sealed as it is on the store (0: nothing)")
	fs.StringVar(&o.refresh, "refresh", "1m", "look for new backups each `INTERVAL` (0s: only for those of this machine)")
	fs.BoolVar(&o.daemon, "daemon", false, "go to the background when the mount is ready")
	fs.StringVar(&o.logFile, "log-file", "", "with --daemon, write messages to `FILE` (default: mount.log in the cache)")
}

// run mounts and serves.
func (o *mountOptions) run(ctx context.Context, j *job, url, dir string) (err error) {
	var refresh time.Duration
	if refresh, err = naming.ParseInterval(o.refresh); err != nil {
		return usagef("--refresh: %w", err)
	}
	at, err := j.stateTime(o.time)
	if err != nil {
		return err
	}
	if err := fusefs.CheckTemplate(o.template); err != nil {
		return &usageError{err: err}
	}
	if err := o.checkMountpoint(j, url, dir); err != nil {
		return err
	}
	back, err := j.background(ctx, o.daemon)
	if err != nil || back.parent {
		return err
	}
	defer back.close()
	b, err := j.browse(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if o.daemon {
		if err := b.unlock(ctx); err != nil {
			return err
		}
	}
	opt, err := o.options(j, b, dir, at)
	if err != nil {
		return err
	}
	files, err := content.New(b.index, &b.Repository, o.content(j, b))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	hangup := make(chan os.Signal, 1) // from now on a signal must not leave a mount behind
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	mnt, err := fusefs.New(fusefs.Indexed(b.index, contents{files}), opt)
	if err != nil {
		return advise(err, "doctor tries out what a mount needs")
	}
	s := &serving{mountOptions: o, job: j, browsing: b, files: files, mount: mnt, refresh: refresh, dir: dir, fresh: make(chan struct{}, 1)}
	if err := s.announce(back); err != nil {
		return errors.Join(err, mnt.Detach())
	}
	return s.serve(ctx, hangup)
}

// content are the options of what reads files.
func (o *mountOptions) content(j *job, b *browsing) content.Options {
	opt := content.Options{Memory: j.contentMemory(), Log: b.Log}
	if o.cacheSize > 0 && b.Archive != nil {
		opt.Disk, opt.DiskSize = filepath.Join(b.cache, "blocks"), int64(o.cacheSize)
	}
	return opt
}

// options are those of the file system.
func (o *mountOptions) options(j *job, b *browsing, dir string, at naming.Time) (fusefs.Options, error) {
	opt := fusefs.Options{
		Dir: dir, Source: b.place.String(), Template: o.template,
		AllowOther: o.other, OwnerRoot: o.ownerRoot, NoDefaultPermissions: o.noPerms,
		Now: j.currentTime, Location: j.env.Location, Log: b.Log,
	}
	if o.time != "" {
		s, err := b.snapshotAt(j, at)
		if err != nil {
			return opt, err
		}
		opt.Snapshot = s.Number
	}
	return opt, nil
}

// contents is what fusefs wants of a content.Cache.
type contents struct{ *content.Cache }

var _ fusefs.Contents = contents{}

func (c contents) Open(ctx context.Context, s *index.Snapshot, id index.ID) (fusefs.File, error) {
	f, err := c.Cache.Open(ctx, s, id)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// serving is a mount and what goes on beside it.
type serving struct {
	*mountOptions
	job      *job
	browsing *browsing
	files    *content.Cache
	mount    *fusefs.Mount
	refresh  time.Duration
	dir      string
	fresh    chan struct{} // of size 1: there are new backups to prefetch
}

// announce says to whom it may concern that the mount is ready: the terminal, the
// service manager, the process that waits for a daemon.
func (s *serving) announce(back *background) error {
	how := "Ctrl-C unmounts it"
	if s.daemon {
		how = "fusermount3 -u unmounts it"
	}
	what := plural(int64(len(s.browsing.index.Snapshots())), "backup")
	if s.time != "" {
		what = "The state at " + s.time
	}
	s.job.console.notice("%s at %s; %s", what, s.dir, how)
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		s.job.console.warn("", fmt.Errorf("tell the service manager: %w", err))
	}
	if !s.daemon {
		return nil
	}
	log := s.logFile
	if log == "" && s.browsing.Archive != nil {
		log = filepath.Join(s.browsing.cache, "mount.log")
	}
	return back.detach(s.job, log)
}

// serve goes on until the mount ends.
func (s *serving) serve(ctx context.Context, hangup <-chan os.Signal) error {
	work, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.Go(func() error { s.follow(work); return nil })
	if s.prefetch {
		group.Go(func() error { s.fetch(work); return nil })
	}
	err := s.await(ctx, hangup)
	stop()
	_ = group.Wait() // they have told of their errors
	return err
}

// await waits for the end of the mount, or brings it about.
func (s *serving) await(ctx context.Context, hangup <-chan os.Signal) error {
	select {
	case <-s.mount.Done():
		return s.mount.Wait()
	case <-ctx.Done():
	case <-hangup:
	}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) // there is nobody else to tell
	return s.unmount()
}

// busyPeriod is how often a busy mount is tried again.
const busyPeriod = 500 * time.Millisecond

// unmount waits until nobody is in the mount any more, unless a second signal comes.
func (s *serving) unmount() error {
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(again)
	var busy *fusefs.BusyError
	told := ""
	for {
		err := s.mount.Unmount()
		if !errors.As(err, &busy) {
			return err
		}
		if text := busy.Error(); text != told {
			told = text
			s.job.console.notice("%s: waiting for that to end; interrupt again to leave at once", text)
		}
		wait := time.NewTimer(busyPeriod)
		select {
		case <-wait.C:
		case <-s.mount.Done():
		case <-again:
			wait.Stop()
			return errors.Join(fmt.Errorf("left while in use: %w", busy), s.mount.Detach())
		}
	}
}

// ownPeriod is how often to look for backups that this machine has indexed.
const ownPeriod = 2 * time.Second

// follow shows new backups as they come.
func (s *serving) follow(ctx context.Context) {
	if s.time != "" {
		return
	}
	tick := time.NewTicker(ownPeriod)
	defer tick.Stop()
	last, told := time.Now(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		changed, err := s.browsing.index.Refresh()
		if err == nil && s.refresh > 0 && time.Since(last) >= s.refresh {
			last = time.Now()
			var more bool
			more, err = s.browsing.reload(ctx, s.job)
			changed = changed || more
			told = told && err != nil
		}
		if err != nil && ctx.Err() == nil && !told { // once; the network may be away for long
			s.job.console.warn("", fmt.Errorf("look for new backups: %w", err))
			told = true
		}
		if changed {
			s.mount.Reload()
			select {
			case s.fresh <- struct{}{}:
			default: // it has not begun with the last ones
			}
		}
	}
}

// fetch finds out all sizes, and then those of new backups as they come.
func (s *serving) fetch(ctx context.Context) {
	told := ""
	for {
		err := s.files.Prefetch(ctx, s.job.tellPrefetch())
		if err != nil && ctx.Err() == nil && err.Error() != told {
			told = err.Error() // once; what is damaged stays so
			s.job.console.warn("", fmt.Errorf("prefetch: %w", err))
		}
		select {
		case <-s.fresh:
		case <-ctx.Done():
			return
		}
	}
}
