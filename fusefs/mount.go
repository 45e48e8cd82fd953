package fusefs

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Options say what is mounted where, and how it looks.
type Options struct {
	Dir    string // an existing directory
	Source string // what mount and df show as the device; without secrets

	// Snapshot is the number of the one that is to be the root; 0 mounts all.
	Snapshot uint32
	// Template names the dated directories, in UTC: see CheckTemplate. Empty is
	// DefaultTemplate.
	Template string

	AllowOther           bool // other users may come in, too, root included; then access control lists count
	OwnerRoot            bool // everything is shown as root's
	NoDefaultPermissions bool // owners and modes are shown but not heeded

	Now      func() time.Time // nil is time.Now
	Location *time.Location   // of times without a zone in lookups; nil is UTC
	Log      *slog.Logger     // nil discards
}

// Sizes of requests in bytes, and how many of those that the kernel makes on its own
// behalf may be under way: over a network they are what hides the latency.
const (
	maxRequest    = 1 << 20
	maxBackground = 64
)

// name is the type of the file system: fuse.hindsight.
const name = "hindsight"

// Mount is a mounted file system.
type Mount struct {
	fs     *filesystem
	server *fuse.Server
	dir    string
	direct bool // mounted by mountDirect
	served chan struct{}
	err    error // of the end; read when served is closed
}

// New mounts trees and serves them until Unmount, or until somebody else unmounts
// the directory. What it shows can be read when New returns. trees must live until
// Wait has returned.
func New(trees Trees, opt Options) (*Mount, error) {
	opt, err := opt.complete()
	if err != nil {
		return nil, err
	}
	f := &filesystem{
		readOnly: readOnly{fuse.NewDefaultRawFileSystem()},
		trees:    trees, opt: opt, single: opt.Snapshot, files: newFiles(trees), pusher: pusher{trees: trees}, log: opt.Log,
		owner: fuse.Owner{Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid())},
	}
	if opt.OwnerRoot {
		f.owner = fuse.Owner{}
	}
	f.roster.Store(newRoster(trees.Snapshots(), opt.Template, opt.Now()))
	m := &Mount{fs: f, dir: opt.Dir, served: make(chan struct{})}
	if err := m.start(opt); err != nil {
		return nil, fmt.Errorf("mount %s: %w", opt.Dir, err)
	}
	return m, nil
}

// start mounts and serves. As root it mounts by itself, else fusermount does it.
func (m *Mount) start(opt Options) (err error) {
	dir := opt.Dir
	if os.Geteuid() == 0 {
		if dir, err = mountDirect(opt); err != nil {
			return err
		}
		m.direct = true
	}
	if m.server, err = fuse.NewServer(m.fs, dir, opt.fuse()); err != nil {
		if m.direct {
			err = errors.Join(err, unix.Unmount(opt.Dir, unix.MNT_DETACH))
		}
		return err
	}
	m.fs.pusher.store = m.server.InodeNotifyStoreCache
	go m.serve()
	if err := m.server.WaitMount(); err != nil {
		return errors.Join(err, m.Unmount())
	}
	return nil
}

// mountDirect mounts without fusermount, and without the library, whose descriptor
// every child inherits: an agent that gpg leaves behind would keep a mount alive, and
// all that wait for it, after this process has died. The result is what the library
// takes for a directory that is mounted already.
func mountDirect(opt Options) (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(opt.Dir, &st); err != nil {
		return "", err
	}
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("open /dev/fuse: %w", err)
	}
	data := fmt.Sprintf("fd=%d,rootmode=%o,user_id=0,group_id=0,max_read=%d", fd, st.Mode&unix.S_IFMT, maxRequest)
	if opt.AllowOther {
		data += ",allow_other"
	}
	if !opt.NoDefaultPermissions {
		data += ",default_permissions"
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_RDONLY
	if err := unix.Mount(opt.Source, opt.Dir, "fuse."+name, flags, data); err != nil {
		return "", errors.Join(err, unix.Close(fd))
	}
	return fmt.Sprintf("/dev/fd/%d", fd), nil
}

// complete fills in what was left out. The directory becomes absolute, without
// symlinks, as the kernel lists it.
func (o Options) complete() (Options, error) {
	if o.Template == "" {
		o.Template = DefaultTemplate
	}
	if err := CheckTemplate(o.Template); err != nil {
		return o, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(o.Dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	o.Dir = dir
	return o, err
}

// fuse says it in the library's words.
func (o Options) fuse() *fuse.MountOptions {
	m := &fuse.MountOptions{
		Name: name, FsName: o.Source,
		AllowOther:           o.AllowOther,
		MaxWrite:             maxRequest,
		MaxReadAhead:         maxRequest,
		MaxBackground:        maxBackground,
		EnableSymlinkCaching: true,
		DisableSplice:        true, // for what is in memory it means six more system calls
		EnableAcl:            o.AllowOther && !o.NoDefaultPermissions,
		Logger:               slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
		PanicHandler: func(p any) fuse.Status {
			o.Log.Error("panic", "cause", p, "stack", string(debug.Stack()))
			return fuse.EIO
		},
	}
	m.Options = append(m.Options, "ro")
	if !o.NoDefaultPermissions {
		m.Options = append(m.Options, "default_permissions")
	}
	return m
}

// serve answers until the directory is unmounted.
func (m *Mount) serve() {
	defer close(m.served)
	m.server.Serve()
	m.err = m.fs.files.close()
}

// Done is closed when the directory is no longer mounted and nothing is served any
// more.
func (m *Mount) Done() <-chan struct{} { return m.served }

// Wait waits for that.
func (m *Mount) Wait() error {
	<-m.served
	return m.err
}

// Unmount ends the mount. The error is a *BusyError if somebody is still in it: then
// all goes on as before. A mount that has ended is fine.
func (m *Mount) Unmount() error {
	select {
	case <-m.served:
		return m.err
	default:
	}
	if err := m.unmount(); err != nil {
		select {
		case <-m.served: // somebody was faster
			return m.err
		default:
		}
		if holders := findHolders(m.dir); len(holders) > 0 || errors.Is(err, unix.EBUSY) {
			return &BusyError{Dir: m.dir, Holders: holders}
		}
		return fmt.Errorf("unmount %s: %w", m.dir, err)
	}
	return m.Wait()
}

// unmount does so unless somebody is in the mount.
func (m *Mount) unmount() error {
	if m.direct {
		return unix.Unmount(m.dir, unix.UMOUNT_NOFOLLOW)
	}
	return m.server.Unmount()
}

// Detach takes the mount away from its directory, whoever is in it: they may go on as
// long as this process lives.
func (m *Mount) Detach() error {
	if m.direct {
		return unix.Unmount(m.dir, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	}
	out, err := exec.Command("fusermount3", "-u", "-z", m.dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("fusermount3: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// Reload shows the snapshots that there are now. What vanished is gone for who looks
// for it anew; directories that are in use say ESTALE.
func (m *Mount) Reload() {
	f := m.fs
	if f.single != 0 {
		return
	}
	old := f.roster.Load()
	now := newRoster(f.trees.Snapshots(), f.opt.Template, f.opt.Now())
	if old.same(now) {
		return
	}
	now.remember(old)
	f.roster.Store(now)
	m.server.InodeNotify(rootNode, 0, 0)
	for name := range f.aliases.take() {
		m.server.EntryNotify(rootNode, name)
	}
	for number, d := range now.byNumber {
		if o := old.byNumber[number]; o != nil && o.name != d.name { // what a symlink to it says
			m.server.InodeNotify(aliasNode|uint64(number), 0, 0)
		}
	}
	for name, d := range old.byName {
		if n := now.byName[name]; n == nil || n.Number != d.Number {
			m.server.EntryNotify(rootNode, name)
		}
	}
}
