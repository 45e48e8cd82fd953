package extract

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
)

// looker looks at what a tree has, path after path, and needs little more than one system
// call for each. Nothing is asked below what was not seen to be a directory. Whoever
// exchanged one for a symbolic link in that moment could as well change what was found;
// to write, directories are opened one by one.
//
// Half of what a look costs is the way to it, component by component. So a directory that
// many paths have in common is opened, and they are looked at from there.
type looker struct {
	disk  *Disk
	held  []heldDir // each below the one before; the first is the target, none if that is no directory
	above []string  // other directories that were seen, each below the one before
	name  []byte    // of a system call, reused

	owner    difftar.Meta // whose owner was looked up last
	uid, gid int          // that it has here
}

// heldDir is a directory that is open to look from.
type heldDir struct {
	path string
	fd   int
}

const (
	// heldWorth is how many components of paths a directory must save to be opened: to open
	// and to close it costs what looking up fifty does.
	heldWorth = 64
	// heldMany paths are looked at in four parts, which may have more in common.
	heldMany = 64
)

// look looks at the paths of a list.
func (l *looker) look(ctx context.Context, list []Existing) error {
	if l.enter(list) {
		defer l.leave()
	}
	if len(list) >= heldMany {
		for part := range slices.Chunk(list, len(list)/4) {
			if err := l.look(ctx, part); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range list {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		x := &list[i]
		var err error
		if x.Kept, err = l.kept(ctx, x); err == nil {
			continue
		}
		var pe *PathError
		if err = l.disk.wrap(x.Path, err); !errors.As(err, &pe) {
			return err
		}
		x.Kept = Differs // that it cannot be looked at will show when it is written
	}
	return nil
}

// enter opens the directory that the paths of a list, which ascend, have in common, if
// that is worth it. Where it cannot be opened each path will say why.
func (l *looker) enter(list []Existing) bool {
	if len(list) == 0 || len(l.held) == 0 {
		return false
	}
	from := &l.held[len(l.held)-1]
	dir := common(list[0].Path, list[len(list)-1].Path)
	way, below := from.way(dir)
	if !below || (strings.Count(way, "/")+1)*len(list) < heldWorth {
		return false
	}
	fd, err := unix.Openat2(from.fd, way, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return false
	}
	l.held = append(l.held, heldDir{dir, fd})
	return true
}

// leave closes what enter has opened last.
func (l *looker) leave() {
	last := len(l.held) - 1
	unix.Close(l.held[last].fd)
	l.held = l.held[:last]
}

// common is the directory that holds both paths, or the way to them.
func common(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	dir, _ := split(a[:n])
	return dir
}

// way is a path as seen from the directory; false: it is not below that.
func (h *heldDir) way(path string) (string, bool) {
	n := len(h.path)
	switch {
	case n == 0:
		return path, path != ""
	case len(path) > n+1 && path[n] == '/' && path[:n] == h.path:
		return path[n+1:], true
	}
	return "", false
}

// stat looks at a path, of which nothing is followed.
func (l *looker) stat(path string, st *unix.Stat_t) error {
	if path == "" {
		return l.ask(l.disk.parent.fd, l.disk.base, st)
	}
	if len(l.held) == 0 {
		return unix.ENOENT
	}
	parent, _ := split(path)
	for n := len(l.above); n > 0 && !difftar.Within(parent, l.above[n-1]); n-- {
		l.above = l.above[:n-1]
	}
	if err := l.descend(parent, st); err != nil {
		return err
	}
	if err := l.step(path, st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		l.above = append(l.above, path)
	}
	return nil
}

// descend sees to it that all of a path is directories.
func (l *looker) descend(path string, st *unix.Stat_t) error {
	var missing []string
	for !l.seen(path) {
		missing = append(missing, path)
		path, _ = split(path)
	}
	for _, dir := range slices.Backward(missing) {
		if err := l.step(dir, st); err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFDIR {
			return unix.ENOTDIR
		}
		l.above = append(l.above, dir)
	}
	return nil
}

// seen reports whether a path is known to be a directory.
func (l *looker) seen(path string) bool {
	if n := len(l.above); n > 0 && l.above[n-1] == path {
		return true
	}
	return path == "" || difftar.Within(l.held[len(l.held)-1].path, path)
}

// step looks at a path of which all above was seen, from the nearest directory that is
// open.
func (l *looker) step(path string, st *unix.Stat_t) error {
	n := len(l.held) - 1
	way, below := l.held[n].way(path)
	for !below && n > 0 {
		n--
		way, below = l.held[n].way(path)
	}
	if len(way) >= unix.PathMax {
		return l.disk.at(path, false, func(dir *dirHandle, name string) error { return l.ask(dir.fd, name, st) })
	}
	return l.ask(l.held[n].fd, way, st)
}

// looked is what of an object's metadata is asked for.
const looked = unix.STATX_TYPE | unix.STATX_MODE | unix.STATX_UID | unix.STATX_GID | unix.STATX_MTIME | unix.STATX_SIZE

// ask is statx, whose name the library would copy anew each time.
func (l *looker) ask(dir int, name string, st *unix.Stat_t) error {
	if strings.IndexByte(name, 0) >= 0 {
		return unix.EINVAL
	}
	var x unix.Statx_t
	l.name = append(append(l.name[:0], name...), 0)
	for {
		_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(dir), uintptr(unsafe.Pointer(&l.name[0])),
			unix.AT_SYMLINK_NOFOLLOW, looked, uintptr(unsafe.Pointer(&x)), 0)
		switch errno {
		case 0:
			*st = unix.Stat_t{Mode: uint32(x.Mode), Uid: x.Uid, Gid: x.Gid, Size: int64(x.Size)}
			st.Mtim = unix.Timespec{Sec: x.Mtime.Sec, Nsec: int64(x.Mtime.Nsec)}
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}
