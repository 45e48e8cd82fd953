package extract

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
)

// attributes is what an open file or directory is known to have.
type attributes struct {
	uid, gid int    // -1: not known
	mode     uint32 // as asked for
	unsure   bool   // it may have got another one
}

// setMeta gives an open file or directory its owner, mode and time, in this order,
// since a new owner clears setuid.
func (d *Disk) setMeta(fd int, m *difftar.Meta, have attributes) error {
	mode := m.Mode
	if uid, gid := d.owners.of(m, d.opt.NumericOwner); uid != have.uid || gid != have.gid {
		refused := d.opt.NoOwnership
		if !refused {
			var err error
			refused, err = d.chown(func(uid, gid int) error { return unix.Fchown(fd, uid, gid) }, uid, gid)
			if err != nil {
				return fmt.Errorf("set owner: %w", err)
			}
		}
		if refused && m.Type == difftar.Regular && mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
			mode = lent(fd, mode, uid, gid)
		}
	}
	if mode != have.mode || have.unsure {
		if err := unix.Fchmod(fd, mode); err != nil {
			return fmt.Errorf("set mode: %w", err)
		}
	}
	times := modified(m)
	// futimens, which the library does not name: utimensat without a path.
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(fd), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0)
	if errno != 0 {
		return fmt.Errorf("set time: %w", errno)
	}
	return nil
}

// lent takes from a mode the bits that would lend the rights of an owner that is not
// the one the file should have.
func lent(fd int, mode uint32, uid, gid int) uint32 {
	var st unix.Stat_t
	err := unix.Fstat(fd, &st)
	if err != nil || int(st.Uid) != uid {
		mode &^= unix.S_ISUID
	}
	if err != nil || int(st.Gid) != gid {
		mode &^= unix.S_ISGID
	}
	return mode
}

// umask is the process' mask of modes, read where that does not change it. Not to
// know it means to set every mode.
func umask() uint32 {
	text, err := os.ReadFile("/proc/thread-self/status")
	if err != nil {
		return 0o777
	}
	_, rest, _ := strings.Cut(string(text), "\nUmask:")
	line, _, _ := strings.Cut(rest, "\n")
	mask, err := strconv.ParseUint(strings.TrimSpace(line), 8, 32)
	if err != nil {
		return 0o777
	}
	return uint32(mask)
}

// modified is the times to set: that of access stays.
func modified(m *difftar.Meta) [2]unix.Timespec {
	return [2]unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: m.MTime, Nsec: int64(m.Nanos)}}
}

// maxID is the highest id: the one above it means "leave as it is".
const maxID = 1<<32 - 2

// chown changes an owner. Where that may not be, as an ordinary user or on a file
// system that has none, it is said once and refused is true.
func (d *Disk) chown(set func(uid, gid int) error, uid, gid int) (refused bool, err error) {
	err = unix.EINVAL
	if uid <= maxID && gid <= maxID {
		err = set(uid, gid)
	}
	if err != unix.EPERM && err != unix.EINVAL {
		return false, err
	}
	if os.Geteuid() != 0 {
		d.note("owners are not restored: that needs root")
	} else {
		d.note("some owners are not restored: the target does not take them")
	}
	if gid <= maxID {
		_ = set(-1, gid) // one of the user's own groups, perhaps
	}
	return true, nil
}

// note says something once.
func (d *Disk) note(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.opt.Note != nil && !d.noted[text] {
		d.noted[text] = true
		d.opt.Note(text)
	}
}

// Object implements Sink.
func (d *Disk) Object(path string, m *difftar.Meta) error {
	return d.at(path, true, func(dir *dirHandle, name string) error {
		if d.opt.Replace && d.sameObject(dir, name, m) {
			return nil
		}
		d.touch(dir)
		temp := d.prefix + "object-" + strconv.FormatUint(d.objects.Add(1), 36)
		err := d.object(dir.fd, temp, m)
		if errors.Is(err, errNoDevices) {
			d.note("devices are not restored: that needs root")
			return nil
		}
		if err != nil {
			return errors.Join(err, ignoreMissing(unix.Unlinkat(dir.fd, temp, 0)))
		}
		if err := d.rename(dir, temp, path, name); err != nil {
			return errors.Join(err, unix.Unlinkat(dir.fd, temp, 0))
		}
		return nil
	})
}

func ignoreMissing(err error) error {
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// errNoDevices says that this user cannot make devices anywhere.
var errNoDevices = errors.New("devices are not restored")

// object makes a symlink, fifo or device and its metadata.
func (d *Disk) object(dirfd int, name string, m *difftar.Meta) error {
	var err error
	switch m.Type {
	case difftar.Symlink:
		err = unix.Symlinkat(m.Linkname, dirfd, name)
	case difftar.Fifo:
		err = unix.Mknodat(dirfd, name, unix.S_IFIFO|0o600, 0)
	case difftar.CharDevice:
		err = unix.Mknodat(dirfd, name, unix.S_IFCHR|0o600, int(unix.Mkdev(m.Major, m.Minor)))
	case difftar.BlockDevice:
		err = unix.Mknodat(dirfd, name, unix.S_IFBLK|0o600, int(unix.Mkdev(m.Major, m.Minor)))
	default:
		return fmt.Errorf("cannot make a %v", m.Type)
	}
	device := m.Type == difftar.CharDevice || m.Type == difftar.BlockDevice
	if device && err == unix.EPERM && os.Geteuid() != 0 {
		return errNoDevices
	}
	if err != nil {
		return fmt.Errorf("make %v: %w", m.Type, err)
	}
	if !d.opt.NoOwnership {
		uid, gid := d.owners.of(m, d.opt.NumericOwner)
		_, err := d.chown(func(uid, gid int) error {
			return unix.Fchownat(dirfd, name, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
		}, uid, gid)
		if err != nil {
			return fmt.Errorf("set owner: %w", err)
		}
	}
	if m.Type != difftar.Symlink {
		if err := setMode(dirfd, name, m.Mode); err != nil {
			return fmt.Errorf("set mode: %w", err)
		}
	}
	times := modified(m)
	if err := unix.UtimesNanoAt(dirfd, name, times[:], unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("set time: %w", err)
	}
	return nil
}

// setMode sets the mode of a fifo or device, of which there is no descriptor. In a
// directory that is somebody else's a link may have taken its place by now: that is
// an error, and not followed.
func setMode(dirfd int, name string, mode uint32) error {
	err := unix.Fchmodat(dirfd, name, mode, unix.AT_SYMLINK_NOFOLLOW)
	if err != unix.EOPNOTSUPP {
		return err
	}
	// A link; or Linux before 6.6.
	fd, err := unix.Openat(dirfd, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return unix.ELOOP
	}
	return unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), mode)
}

// Dir implements Sink.
func (d *Disk) Dir(path string, _ *difftar.Meta) error {
	h, err := d.dir(path, true)
	if err != nil {
		return d.wrap(path, err)
	}
	d.dirs.release(h)
	return nil
}

// DirMeta implements Sink.
func (d *Disk) DirMeta(path string, m *difftar.Meta, ifExists bool) error {
	h, err := d.dir(path, !ifExists)
	if ifExists && errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return d.wrap(path, err)
	}
	defer d.dirs.release(h)
	if d.opt.Replace && !h.made.Load() {
		if d.sameDir(h, m) {
			return nil
		}
		d.touch(h)
	}
	have := attributes{-1, -1, 0, true}
	if known := h.inherit.Swap(nil); known != nil && h.made.Load() {
		have.uid, have.gid = known.uid, known.gid // as it got them itself
	}
	return d.wrap(path, d.setMeta(h.fd, m, have))
}

// sameDir reports whether an open directory has the metadata that it should.
func (d *Disk) sameDir(h *dirHandle, m *difftar.Meta) bool {
	var st unix.Stat_t
	return unix.Fstat(h.fd, &st) == nil && st.Mode&0o7777 == m.Mode && timely(&st, m) && d.sameOwner(&st, m)
}

// Fresh is the metadata of a directory that this process makes now, where a backup
// says nothing of it.
func (d *Disk) Fresh() difftar.Meta {
	return difftar.Meta{
		Type: difftar.Directory, Mode: 0o777 &^ d.umask, MTime: time.Now().Unix(),
		UID: int64(os.Geteuid()), GID: int64(os.Getegid()),
	}
}

// owners finds the ids of users and groups by name, once each. The zero value is
// ready for use.
type owners struct {
	mu     sync.Mutex
	users  map[string]int // -1: unknown here
	groups map[string]int
}

// of is the owner that an object gets here: by name first, then by number
// (duplicity-format.md §5.3).
func (o *owners) of(m *difftar.Meta, numeric bool) (uid, gid int) {
	uid, gid = int(m.UID), int(m.GID)
	if numeric {
		return uid, gid
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.users == nil {
		o.users, o.groups = make(map[string]int), make(map[string]int)
	}
	if id := cached(o.users, m.Uname, lookupUser); id >= 0 {
		uid = id
	}
	if id := cached(o.groups, m.Gname, lookupGroup); id >= 0 {
		gid = id
	}
	return uid, gid
}

// maxOwners bounds the names remembered: an archive may make up any number.
const maxOwners = 10000

func cached(ids map[string]int, name string, lookup func(string) (string, error)) int {
	if name == "" {
		return -1
	}
	if id, ok := ids[name]; ok {
		return id
	}
	id := -1
	if text, err := lookup(name); err == nil {
		if n, err := strconv.Atoi(text); err == nil {
			id = n
		}
	}
	if len(ids) < maxOwners {
		ids[name] = id
	}
	return id
}

func lookupUser(name string) (string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return "", err
	}
	return u.Uid, nil
}

func lookupGroup(name string) (string, error) {
	g, err := user.LookupGroup(name)
	if err != nil {
		return "", err
	}
	return g.Gid, nil
}
