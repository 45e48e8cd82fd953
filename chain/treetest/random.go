package treetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// RandomOptions shapes a random tree. The zero value is a tree of 40 paths that any
// user can make.
type RandomOptions struct {
	Nodes    int   // paths to make, 40 if 0; some directories come on top
	MaxSize  int64 // bytes of the longest file, 300,000 if 0
	OddNames bool  // use OddNames too
	Special  bool  // fifos too; devices as well if root
	Owners   bool  // various owners; needs root
}

func (o RandomOptions) withDefaults() RandomOptions {
	if o.Nodes == 0 {
		o.Nodes = 40
	}
	if o.MaxSize == 0 {
		o.MaxSize = 300_000
	}
	return o
}

// Rand is a source of numbers from a seed that goes to the test's log.
func Rand(t testing.TB, seed uint64) *rand.Rand {
	t.Helper()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}

// Random writes a random tree below dir: the same for the same seed and options,
// but for Special and Owners that depend on the user. No modification time is later
// than BaseTime.
func Random(t testing.TB, dir string, rng *rand.Rand, opts RandomOptions) {
	t.Helper()
	g := generator{rng: rng, opts: opts.withDefaults(), clock: BaseTime, root: os.Geteuid() == 0}
	nodes := []Node{Dir("")}
	dirs := []string{""}
	for i := range g.opts.Nodes {
		at := pick(rng, dirs)
		n := g.node(join2(at, g.name(i)), i)
		n = n.At(BaseTime - rng.Int64N(1_000_000))
		if n.typ == TypeDir {
			dirs = append(dirs, n.path)
		}
		nodes = append(nodes, n)
	}
	Write(t, dir, nodes...)
}

// generator makes nodes out of numbers.
type generator struct {
	rng   *rand.Rand
	opts  RandomOptions
	clock int64
	root  bool
}

// name is a name that no other call with another i gives.
func (g *generator) name(i int) string {
	if odd := OddNames(); g.opts.OddNames && i < len(odd) {
		return odd[i]
	}
	return fmt.Sprintf("%s-%d-%d", pick(g.rng, []string{"file", "data", "a", "a.b", "z"}), g.clock-BaseTime, i)
}

// node is a node of a random type at path; i spreads the rare types.
func (g *generator) node(path string, i int) Node {
	var n Node
	switch kind := g.rng.IntN(20); {
	case kind < 5:
		n = Dir(path).Perm(pick(g.rng, []uint32{0o755, 0o700, 0o1777, 0o2755}))
	case kind < 7:
		n = Symlink(path, pick(g.rng, []string{"nowhere", "../up", "/abs", "file", strings.Repeat("t/", 80)}))
	case kind == 7 && g.opts.Special:
		n = g.special(path, i)
	default:
		n = File(path, string(Content(g.rng, g.size()))).
			Perm(pick(g.rng, []uint32{0o644, 0o600, 0o755, 0o444, 0o4755}))
	}
	if g.opts.Owners && g.root {
		n = n.Owner(g.rng.IntN(3)*1000, g.rng.IntN(3)*500)
	}
	return n.At(g.clock)
}

func (g *generator) special(path string, i int) Node {
	switch {
	case g.root && i%3 == 1:
		return Char(path, 1, uint32(g.rng.IntN(300)))
	case g.root && i%3 == 2:
		return Block(path, 7, uint32(g.rng.IntN(300)))
	}
	return Fifo(path)
}

// size favours what the format has edges at: nothing, librsync blocks of 512
// bytes, and parts of 64 KiB (duplicity-format.md §3.4, §4.3).
func (g *generator) size() int64 {
	edge := pick(g.rng, []int64{0, 1, 512, 1024, 64 << 10, 128 << 10, 192 << 10}) + g.rng.Int64N(3) - 1
	switch g.rng.IntN(4) {
	case 0:
		return min(max(edge, 0), g.opts.MaxSize)
	case 1:
		return g.rng.Int64N(g.opts.MaxSize + 1)
	}
	return g.rng.Int64N(min(g.opts.MaxSize, 4000) + 1)
}

// Content is n bytes, half of them repeating so that they compress, the rest
// random.
func Content(rng *rand.Rand, n int64) []byte {
	b := make([]byte, 0, n+64)
	for int64(len(b)) < n {
		if len(b) > 64 && rng.IntN(2) == 0 {
			at := rng.IntN(len(b) - 32)
			b = append(b, b[at:at+32]...)
			continue
		}
		for range 4 {
			v := rng.Uint64()
			b = append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24), byte(v>>32), byte(v>>40), byte(v>>48), byte(v>>56))
		}
	}
	return b[:n]
}

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// join2 joins a directory of a tree, "" for its root, and a name.
func join2(dir, name string) string {
	if dir == "" {
		return name
	}
	return dir + "/" + name
}
