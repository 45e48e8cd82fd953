package fusefs_test

import (
	"path/filepath"
	"testing"

	"hindsight/chain/treetest"
	"hindsight/fusefs"
)

// writes are system calls that would change something, each alone in a Python
// expression. All must fail with EROFS.
const writes = `import os, errno, ctypes, sys
libc = ctypes.CDLL(None, use_errno=True)
AT, RENAME_EXCHANGE, F = -100, 2, b"file"
def call(f, *args):
    if f(*args) < 0:
        raise OSError(ctypes.get_errno(), "call")
def write():
    fd = os.open("file", os.O_WRONLY)
    try: os.write(fd, b"x")
    finally: os.close(fd)
def fallocate():
    fd = os.open("file", os.O_RDWR)
    try: os.posix_fallocate(fd, 0, 10)
    finally: os.close(fd)
tries = dict(
    create=lambda: os.open("new", os.O_WRONLY | os.O_CREAT), tmpfile=lambda: os.open(".", os.O_RDWR | os.O_TMPFILE),
    write=write, fallocate=fallocate, truncate=lambda: os.truncate("file", 1), opentrunc=lambda: os.open("file", os.O_WRONLY | os.O_TRUNC),
    mkdir=lambda: os.mkdir("new"), rmdir=lambda: os.rmdir("empty"), unlink=lambda: os.unlink("file"),
    rename=lambda: os.rename("file", "new"), exchange=lambda: call(libc.renameat2, AT, F, AT, b"link", RENAME_EXCHANGE),
    link=lambda: os.link("file", "new"), symlink=lambda: os.symlink("to", "new"), mkfifo=lambda: os.mkfifo("new"),
    mknod=lambda: os.mknod("new", 0o600 | 0o020000, os.makedev(1, 3)),
    chmod=lambda: os.chmod("file", 0), chown=lambda: os.chown("file", 7, 7), utime=lambda: os.utime("file", (1, 1)),
    lutime=lambda: os.utime("link", (1, 1), follow_symlinks=False), setxattr=lambda: os.setxattr("file", "user.x", b"x"),
    removexattr=lambda: os.removexattr("file", "user.mine"),
)
bad = 0
for name, f in tries.items():
    try: f()
    except OSError as e: got = errno.errorcode.get(e.errno, str(e.errno))
    else: got = "success"
    if got != "EROFS" and not (sys.argv[1:] == ["tmpfile"] and name == "tmpfile" and got == "EOPNOTSUPP"):
        print(name, got); bad += 1
print(len(tries) - bad, "refused")`

func readOnlyModel(t *testing.T) *model {
	src := t.TempDir()
	treetest.Write(t, src, treetest.File("file", "content"), treetest.Dir("empty"), treetest.Symlink("link", "file"))
	sh(t, src, "setfattr -n user.mine -v x file")
	m := newModel()
	m.add(t, src, first)
	return m
}

func TestReadOnly(t *testing.T) {
	treetest.NeedRoot(t)
	treetest.NeedTool(t, "python3")
	treetest.NeedTool(t, "setfattr")
	m := readOnlyModel(t)
	dir, _ := mounted(t, m, fusefs.Options{Snapshot: 1})
	if got := sh(t, dir, `python3 -c "$1"`, writes); got != "21 refused" {
		t.Errorf("as mounted:\n%s", got)
	}
	if got := sh(t, dir, `cat file`); got != "content" {
		t.Errorf("content %q", got)
	}
	// Root may tell the kernel otherwise: then it asks, and hears the same.
	sh(t, "/", `mount -i -o remount,rw "$1"`, dir)
	if got := sh(t, dir, `python3 -c "$1"`, writes); got != "21 refused" {
		t.Errorf("after remount,rw:\n%s", got)
	}
	for _, p := range []string{"/latest", ""} {
		dir, _ := mounted(t, readOnlyModel(t), fusefs.Options{})
		sh(t, "/", `mount -i -o remount,rw "$1"`, dir)
		if out, err := trySh(dir+p, "mkdir new || ln -s a b || touch c || rmdir .versions || rm latest"); err == nil {
			t.Errorf("%s: writes succeed: %s", p, out)
		}
	}
}

// TestAttributes reads what was backed up, and where it comes from.
func TestAttributes(t *testing.T) {
	treetest.NeedTool(t, "setfattr")
	src := t.TempDir()
	treetest.Write(t, src, treetest.File("file", "content"), treetest.File("empty", ""))
	sh(t, src, `setfattr -n user.mine -v "some value" file; setfattr -n user.none file`)
	m := newModel()
	m.add(t, src, first)
	m.add(t, src, first+86400)
	dir, _ := mounted(t, m, fusefs.Options{})
	for script, want := range map[string]string{
		"getfattr -d file": "# file: file\nuser.mine=\"some value\"\nuser.none=\"\"\n",
		"getfattr --only-values -n user.hindsight.set file":        "full 20261120T030000Z",
		"getfattr --only-values -n user.hindsight.changed-at file": "2026-11-20T03:00:00Z",
		"getfattr --only-values -n user.hindsight.changed-at .":    "2026-11-20T03:00:00Z",
		"getfattr --only-values -n user.hindsight.volume file":     "20231114T221320Z/1 20231114T221320Z/2",
		"getfattr -n user.hindsight.volume empty || echo none":     "none",
		"getfattr -n user.other file || echo none":                 "none",
		"getfattr -d . .. ../latest":                               "",
	} {
		if got := sh(t, dir+"/"+dateName(1), script); got != want {
			t.Errorf("%s: %q, want %q", script, got, want)
		}
	}
}

// TestACL shows access control lists, and heeds them where others come in.
func TestACL(t *testing.T) {
	treetest.NeedRoot(t)
	treetest.NeedTool(t, "setfacl")
	treetest.NeedTool(t, "setpriv")
	src := t.TempDir()
	treetest.Write(t, src, treetest.File("file", "content").Owner(1000, 1234).Perm(0o640), treetest.Dir("").Perm(0o755))
	sh(t, src, "setfacl -m u:4321:r,g::- file")
	want := sh(t, src, "getfacl -n file")
	for _, allow := range []bool{false, true} {
		m := newModel()
		m.add(t, src, first)
		dir, _ := mounted(t, m, fusefs.Options{AllowOther: allow, Snapshot: 1})
		if got := sh(t, dir, "getfacl -n file"); got != want {
			t.Errorf("allow_other %v: %s\nwant %s", allow, got, want)
		}
		reachable(t, dir)
		for user, may := range map[string]bool{"4321 --regid 4321": true, "5678 --regid 1234": false} {
			out, err := trySh("/", `setpriv --reuid $1 --clear-groups cat "$2"`, user, filepath.Join(dir, "file"))
			if (err == nil) != (may && allow) {
				t.Errorf("allow_other %v, user %s: %q, %v", allow, user, out, err)
			}
		}
	}
}
