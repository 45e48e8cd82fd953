package backup_test

import (
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/codec"
	"hindsight/chain/manifest"
	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

// peer is a repository that duplicity and we write.
type peer struct {
	*place
	dup  *treetest.Dup
	src  string
	rng  *rand.Rand
	tree treetest.RandomOptions

	times  []int64
	states map[int64]treetest.Tree
}

// formats are the ways to store that are tried.
var formats = []struct {
	name  string
	setup func(t *testing.T, p *peer)
}{
	{"gz", func(*testing.T, *peer) {}},
	{"none", func(t *testing.T, p *peer) {
		p.format = codec.Format{}
		p.dup.Options = []string{"--no-encryption", "--no-compression"}
	}},
	{"symmetric", func(t *testing.T, p *peer) { p.encrypt(t, pgp.Recipients{Symmetric: true}, false) }},
	{"signed", func(t *testing.T, p *peer) { p.encrypt(t, pgp.Recipients{}, true, "--encrypt-key", "--sign-key") }},
	{"hidden", func(t *testing.T, p *peer) { p.encrypt(t, pgp.Recipients{}, true, "--hidden-encrypt-key") }},
}

// newPeer is an empty repository and a source with all kinds of files, one of which
// spans volumes.
func newPeer(t *testing.T, seed uint64, setup func(*testing.T, *peer)) *peer {
	t.Helper()
	treetest.NeedRoot(t)
	p := &peer{
		dup: treetest.Duplicity(t), place: newPlace(t), src: filepath.Join(t.TempDir(), "src"),
		rng:    treetest.Rand(t, seed),
		tree:   treetest.RandomOptions{Nodes: 95, MaxSize: 150 << 10, OddNames: true, Special: true, Owners: true},
		states: make(map[int64]treetest.Tree),
	}
	treetest.Random(t, p.src, p.rng, p.tree)
	setup(t, p)
	p.dup.Options = append(p.dup.Options, "--volsize", "1")
	return p
}

const passphrase = "correct horse"

// encrypt makes both write messages: to a key of a GnuPG home of their own, by way
// of the options that name it, or for a passphrase.
func (p *peer) encrypt(t *testing.T, rcpt pgp.Recipients, key bool, options ...string) {
	t.Helper()
	home := treetest.GPGHome(t)
	var args []string
	if key {
		id := home.NewKey(t, treetest.RSA2048, passphrase).ID()
		for _, o := range options {
			args = append(args, o, id)
			switch o {
			case "--encrypt-key":
				rcpt.Keys = []string{id}
			case "--hidden-encrypt-key":
				rcpt.HiddenKeys = []string{id}
			case "--sign-key":
				rcpt.SignKey = id
				p.repo.SignKey = id
			}
		}
	}
	p.dup.Encrypt(t, home, passphrase, args...)
	p.format = codec.Format{Encrypted: true, Compressed: true}
	p.rcpt = rcpt
	p.repo.Keys = pgp.NewKeyring(pgp.Options{
		Passphrase: func() ([]byte, error) { return []byte(passphrase), nil },
		GnuPGHome:  home.Home, S2KCount: 65536,
	})
}

// change edits the source for the next set, whose time it returns: whatever set it
// is, the file that spans volumes does so in it.
func (p *peer) change(t *testing.T) int64 {
	t.Helper()
	at := treetest.BaseTime + 1000*int64(len(p.times)+1)
	if len(p.times) > 0 {
		treetest.Mutate(t, p.src, p.rng, at-500, 12, p.tree)
	}
	span := filepath.Join(p.src, "span")
	big, _ := os.ReadFile(filepath.Join(span, "big"))
	if len(big) == 0 {
		big = make([]byte, 3<<20)
	}
	from := p.rng.IntN(len(big) / 3)
	fresh := big[from : from+3*len(big)/5]
	if len(p.times) == 0 {
		fresh = big
	}
	for i := range fresh {
		fresh[i] = byte(p.rng.Uint32())
	}
	if info, err := os.Lstat(span); err == nil && !info.IsDir() { // an edit may have taken it away
		if err := os.Remove(span); err != nil {
			t.Fatal(err)
		}
	}
	treetest.Write(t, p.src, treetest.Dir("").At(at-500), treetest.Dir("span").At(at-500),
		treetest.File("span/big", string(big)).At(at-500))
	p.times = append(p.times, at)
	p.states[at] = treetest.Record(t, p.src)
	return at
}

// ours and theirs make the next set of a source that has changed, incremental if it
// can be.
func (p *peer) ours(t *testing.T) *backup.Statistics {
	t.Helper()
	at := p.change(t)
	return p.backup(t, p.src, at, backup.Options{Set: chain.SetOptions{VolumeSize: 1 << 20}})
}

func (p *peer) theirs(t *testing.T) treetest.Result {
	t.Helper()
	at := p.change(t)
	if len(p.times) == 1 {
		return p.dup.Full(t, p.src, p.dir, at).OK(t)
	}
	return p.dup.Inc(t, p.src, p.dir, at).OK(t)
}

// wantOurs restores all times with us.
func (p *peer) wantOurs(t *testing.T) {
	t.Helper()
	for _, at := range p.times {
		p.wantState(t, at, p.states[at])
	}
}

// wantTheirs restores times with duplicity.
func (p *peer) wantTheirs(t *testing.T, times ...int64) {
	t.Helper()
	for _, at := range times {
		target := filepath.Join(t.TempDir(), "target")
		p.dup.Restore(t, p.dir, target, at).OK(t)
		if !treetest.Equal(t, treetest.Record(t, target), p.states[at], treetest.AsDuplicity()) {
			t.Errorf("that was duplicity's restore of the time %d", at)
		}
	}
}

// wantContent has duplicity look at the repository: the source is as the newest set,
// nothing is left over.
func (p *peer) wantContent(t *testing.T, sets string) {
	t.Helper()
	verify := p.dup.Verify(t, p.dir, p.src, "--compare-data").OK(t)
	if !strings.Contains(verify.Stdout, " 0 differences found") {
		t.Errorf("verify: %s", verify.Output())
	}
	status := p.dup.CollectionStatus(t, p.dir).OK(t).Stdout
	for _, want := range []string{"No orphaned or incomplete backup sets found", "Number of contained backup sets: " + sets + "\n", "with matching signature chain"} {
		if !strings.Contains(status, want) {
			t.Errorf("collection-status does not say %q:\n%s", want, status)
		}
	}
	if out := p.dup.Cleanup(t, p.dir).OK(t).Stdout; !strings.Contains(out, "No extraneous files found") {
		t.Errorf("cleanup: %s", out)
	}
}

// spanning is how many volumes of the newest set begin or end within span/big.
func (p *peer) spanning(t *testing.T) int {
	t.Helper()
	sets := p.load(t).Latest().Sets
	m, err := p.repo.Manifest(t.Context(), sets[len(sets)-1])
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, v := range m.Volumes {
		for _, pos := range []manifest.Position{v.Start, v.End} {
			if pos.Path == "span/big" && pos.Block > 0 {
				n++
			}
		}
	}
	return n
}

// eachFormat runs a test for formats, all if none is named, and for one of them in short
// mode.
func eachFormat(t *testing.T, seed uint64, names []string, test func(t *testing.T, p *peer)) {
	treetest.Sequential(t) // mostly it is duplicity that runs
	for i, f := range formats {
		if testing.Short() && i > 0 {
			break
		}
		if len(names) > 0 && !slices.Contains(names, f.name) {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			test(t, newPeer(t, seed+uint64(i), f.setup))
		})
	}
}

// TestTheirsToOurs restores what duplicity has written. The other formats are in the
// golden repositories, and in TestOursToTheirs.
func TestTheirsToOurs(t *testing.T) {
	eachFormat(t, 100, []string{"gz", "signed"}, func(t *testing.T, p *peer) {
		for range 3 {
			p.theirs(t)
			if p.spanning(t) == 0 {
				t.Error("no file spans duplicity's volumes")
			}
		}
		p.wantOurs(t)
	})
}

// TestOursToTheirs has duplicity restore, verify and continue what we have written.
func TestOursToTheirs(t *testing.T) {
	eachFormat(t, 200, nil, func(t *testing.T, p *peer) {
		for range 3 {
			if stats := p.ours(t); stats.Volumes < 2 || p.spanning(t) == 0 {
				t.Errorf("%d volumes, and no file spans them", stats.Volumes)
			}
		}
		p.wantTheirs(t, p.times[2])
		all := slices.Contains([]string{"gz", "signed"}, path.Base(t.Name()))
		if all {
			p.wantContent(t, "3")
			p.wantTheirs(t, p.times[:2]...)
		}
		p.theirs(t)
		if all {
			p.wantTheirs(t, p.times[3])
		}
		p.wantOurs(t)
	})
}

// TestAlternating has both write sets of one chain by turns. The command line's test does
// so with encryption.
func TestAlternating(t *testing.T) {
	eachFormat(t, 300, []string{"gz"}, func(t *testing.T, p *peer) {
		for i := range 6 {
			if i%2 == 0 {
				p.theirs(t)
			} else {
				p.ours(t)
			}
		}
		p.wantContent(t, "6")
		p.wantTheirs(t, p.times[3:]...)
		p.wantOurs(t)
		if n := len(p.load(t).Latest().Sets); n != 6 {
			t.Errorf("chain of %d sets, want 6", n)
		}
	})
}
