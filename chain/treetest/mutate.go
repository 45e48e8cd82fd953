package treetest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain/difftar"
)

// Mutate makes edits random changes to the tree at dir and returns a line about
// each. Every path that it touches, and the directory of every name that it adds
// or takes away, gets the modification time clock (Unix seconds), so that duplicity
// notices each change (duplicity-format.md §4.2): give a later clock at each call,
// after BaseTime. Names that were deleted may come again. The root stays.
func Mutate(t testing.TB, dir string, rng *rand.Rand, clock int64, edits int, opts RandomOptions) []string {
	t.Helper()
	m := mutation{
		t: t, dir: dir, touched: map[string]bool{}, gen: generator{
			rng: rng, opts: opts.withDefaults(), clock: clock, root: os.Geteuid() == 0,
		},
	}
	m.gen.opts.OddNames = false // their names would not be new
	var log []string
	for i := range edits {
		tree, err := appendTree(nil, dir, "")
		if err != nil {
			t.Fatal(err)
		}
		line, err := m.edit(tree, i)
		if err != nil {
			t.Fatalf("edit %d: %v", i, err)
		}
		log = append(log, line)
	}
	m.setTimes()
	return log
}

type mutation struct {
	t       testing.TB
	dir     string
	gen     generator
	touched map[string]bool // paths whose time becomes the clock at the end
}

// edit makes one change to a path of the tree that was picked at random.
func (m *mutation) edit(tree Tree, i int) (string, error) {
	rng := m.gen.rng
	e := pick(rng, tree)
	if e.Path == "" || rng.IntN(5) == 0 {
		return m.add(tree, i)
	}
	switch rng.IntN(8) {
	case 0:
		return "delete " + e.Path, m.remove(e.Path)
	case 1:
		return m.rename(tree, e, i)
	case 2:
		return m.replace(e, i)
	case 3:
		return m.chmod(e)
	case 4:
		return m.chown(e)
	}
	if e.Type != TypeFile {
		return m.add(tree, i)
	}
	return m.rewrite(e)
}

// add makes something new in a directory of the tree; now and then a file with a
// name that may have been there and deleted before.
func (m *mutation) add(tree Tree, i int) (string, error) {
	at := m.directory(tree)
	n := m.gen.node(join2(at, m.gen.name(i)), i)
	if m.gen.rng.IntN(4) == 0 {
		n = File(join2(at, fmt.Sprintf("again-%d", m.gen.rng.IntN(3))), string(Content(m.gen.rng, m.gen.size()))).At(m.gen.clock)
		if _, err := os.Lstat(join(m.dir, n.path)); err == nil {
			return "nothing", nil
		}
	}
	m.touch(n.path)
	return fmt.Sprintf("add %s %s", n.typ, n.path), write(m.dir, []Node{n})
}

func (m *mutation) directory(tree Tree) string {
	return pick(m.gen.rng, tree.Without(func(e Entry) bool { return e.Type != TypeDir })).Path
}

func (m *mutation) remove(path string) error {
	m.touched[parent(path)] = true
	return os.RemoveAll(join(m.dir, path))
}

// rename gives a path a name that was never used. A whole directory keeps the times
// of what is in it: all of that is new by name.
func (m *mutation) rename(tree Tree, e Entry, i int) (string, error) {
	to := join2(m.directory(tree.Without(func(d Entry) bool { return d.Type == TypeDir && difftar.Within(d.Path, e.Path) })), m.gen.name(i))
	m.touch(e.Path)
	delete(m.touched, e.Path)
	m.touch(to)
	return fmt.Sprintf("rename %s to %s", e.Path, to), os.Rename(join(m.dir, e.Path), join(m.dir, to))
}

// replace puts something of another type in a path's place, but no device: one that
// came back with the same numbers would not be noticed, whatever its time.
func (m *mutation) replace(e Entry, i int) (string, error) {
	n := m.gen.node(e.Path, i)
	for n.typ == e.Type || n.typ == TypeChar || n.typ == TypeBlock {
		n = m.gen.node(e.Path, i)
	}
	if err := m.remove(e.Path); err != nil {
		return "", err
	}
	m.touch(n.path)
	return fmt.Sprintf("replace %s %s by %s", e.Type, e.Path, n.typ), write(m.dir, []Node{n})
}

// chmod leaves symlinks alone, whose mode cannot be set, and keeps directories open
// to their owner.
func (m *mutation) chmod(e Entry) (string, error) {
	if e.Type == TypeSymlink {
		return "nothing", nil
	}
	bits := []uint32{0o010, 0o040, 0o004, 0o100}
	if e.Type == TypeDir {
		bits = bits[:3]
	}
	mode := e.Mode ^ pick(m.gen.rng, bits)
	if m.gen.rng.IntN(2) == 0 && e.Type != TypeChar && e.Type != TypeBlock {
		m.touched[e.Path] = true
	}
	return fmt.Sprintf("chmod %04o %s", mode, e.Path), unix.Chmod(join(m.dir, e.Path), mode)
}

// chown leaves symlinks alone: duplicity does not notice.
func (m *mutation) chown(e Entry) (string, error) {
	if !m.gen.root || !m.gen.opts.Owners || e.Type == TypeSymlink {
		return m.chmod(e)
	}
	uid, gid := (e.UID+1000)%4000, (e.GID+500)%2000
	if err := os.Lchown(join(m.dir, e.Path), int(uid), int(gid)); err != nil {
		return "", err
	}
	return fmt.Sprintf("chown %d:%d %s", uid, gid, e.Path), unix.Chmod(join(m.dir, e.Path), e.Mode)
}

// rewrite changes a file's content in one of the ways that deltas must follow.
func (m *mutation) rewrite(e Entry) (string, error) {
	full := join(m.dir, e.Path)
	old, err := os.ReadFile(full)
	if err != nil {
		return "", err
	}
	how, data := Edit(m.gen.rng, old)
	m.touched[e.Path] = true
	if err := unix.Chmod(full, 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(full, data, 0o600); err != nil {
		return "", err
	}
	return how + " " + e.Path, unix.Chmod(full, e.Mode)
}

// Edit returns a changed copy of a content and the name of the change: append,
// insert, scatter, truncate, cut or rewrite. The copy may by chance equal the
// content.
func Edit(rng *rand.Rand, old []byte) (how string, data []byte) {
	data = bytes.Clone(old)
	at := rng.IntN(len(data) + 1)
	end := at + rng.IntN(len(data)-at+1)
	extra := Content(rng, 1+rng.Int64N(5000))
	switch rng.IntN(6) {
	case 0:
		return "append", append(data, extra...)
	case 1:
		return "insert", append(append(data[:at:at], extra...), old[at:]...)
	case 2:
		for range 1 + len(data)/20_000 {
			if len(data) > 0 {
				data[rng.IntN(len(data))] ^= byte(1 + rng.IntN(255))
			}
		}
		return "scatter", data
	case 3:
		return "truncate", data[:at]
	case 4:
		return "cut", append(data[:at], old[end:]...)
	}
	return "rewrite", Content(rng, int64(len(old)))
}

func (m *mutation) touch(path string) {
	m.touched[path] = true
	m.touched[parent(path)] = true
}

// setTimes comes last: each edit changes the times of directories again.
func (m *mutation) setTimes() {
	m.t.Helper()
	for path := range m.touched {
		full := join(m.dir, path)
		if _, err := os.Lstat(full); err != nil {
			continue // gone by a later edit
		}
		if err := setTime(full, unix.Timespec{Sec: m.gen.clock}); err != nil {
			m.t.Fatal(err)
		}
	}
}
