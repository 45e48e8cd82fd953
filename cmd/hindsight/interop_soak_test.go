package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"hindsight/chain/treetest"
)

// TestSoakInterop makes repositories at random, with whatever options duplicity has for
// what it writes, by duplicity alone or in turn with hindsight, and reads every state of
// them in every way: two of them, or in a soak run others as long as there is time.
func TestSoakInterop(t *testing.T) {
	if testing.Short() {
		t.Skip("runs duplicity a dozen times")
	}
	treetest.NeedRoot(t)
	treetest.NeedTool(t, "tar")
	seed, end := uint64(1), time.Now()
	if os.Getenv(treetest.SoakEnv) != "" {
		seed, end = uint64(time.Now().UnixNano()), time.Now().Add(treetest.SoakTime(t, 0))
	}
	for n := 0; n < 2 || time.Now().Before(end); n++ {
		one := seed + uint64(n)
		if !t.Run(fmt.Sprint(one), func(t *testing.T) { anyRepository(t, treetest.Rand(t, one)) }) {
			return
		}
	}
}

// dialect is how one repository is written, and what each program has to be told.
type dialect struct {
	theirs, ours []string
	alone        bool // hindsight has no such option for writing
}

func (d *dialect) both(args ...string) {
	d.theirs, d.ours = append(d.theirs, args...), append(d.ours, args...)
}

func (d *dialect) dupOnly(args ...string) { d.theirs = append(d.theirs, args...) }

// anyDialect chooses options. The keys and the passphrase are in the gpg home.
func anyDialect(t *testing.T, rng *rand.Rand, dup *treetest.Dup, w *world) *dialect {
	d := new(dialect)
	maybe := func(n int) bool { return rng.IntN(n) == 0 }
	switch home := treetest.GPGHome(t); rng.IntN(4) {
	case 0:
		d.both("--no-encryption")
		if maybe(3) {
			d.both("--no-compression")
		}
	case 1:
		dup.Encrypt(t, home, "one two")
		d.gpgOptions(rng)
	default:
		key := home.NewKey(t, []string{"rsa2048", treetest.Curve25519}[rng.IntN(2)], "one two")
		dup.Encrypt(t, home, "one two")
		d.ours = append(d.ours, "--gpg-homedir", home.Home)
		option := []string{"--encrypt-key", "--hidden-encrypt-key", "--encrypt-sign-key"}[rng.IntN(3)]
		d.both(option, key.ID())
		if option != "--encrypt-sign-key" && maybe(2) {
			d.both("--sign-key", key.ID())
		}
		d.gpgOptions(rng)
	}
	dup.Options = nil
	w.vars["PASSPHRASE"] = "one two"
	if maybe(2) {
		d.both("--volsize", "1")
	}
	if maybe(3) {
		d.both("--max-blocksize", fmt.Sprint([]int{64, 2048, 512 << 10}[rng.IntN(3)]))
	}
	if maybe(4) {
		d.both("--file-prefix", "node-")
	}
	if maybe(4) {
		d.both("--file-prefix-archive", "a.", "--file-prefix-manifest", "m_", "--file-prefix-signature", "duplicity-")
	}
	if maybe(4) {
		d.both("--numeric-owner")
	}
	if maybe(5) {
		d.dupOnly("--asynchronous-upload")
	}
	switch rng.IntN(8) {
	case 0:
		d.both("--short-filenames")
		d.alone = true
	case 1:
		d.dupOnly("--old-filenames")
		d.alone = true
	case 2:
		d.dupOnly("--old-filenames", "--time-separator", "_")
		d.ours = append(d.ours, "--time-separator", "_")
		d.alone = true
	}
	return d
}

// gpgOptions changes what gpg writes.
func (d *dialect) gpgOptions(rng *rand.Rand) {
	options := []string{
		"", "--compress-algo=bzip2", "--compress-algo=zlib", "--compress-algo=none", "--cipher-algo=3DES",
		"--cipher-algo=TWOFISH", "--cipher-algo=IDEA", "--cipher-algo=AES", "--cipher-algo=CAMELLIA256", "--s2k-mode=1", "--s2k-digest-algo=SHA512",
		"--compress-level=9", "--disable-mdc", "--personal-digest-preferences=SHA512",
	}
	if o := options[rng.IntN(len(options))]; o != "" {
		d.dupOnly("--gpg-options", o)
	}
}

func anyRepository(t *testing.T, rng *rand.Rand) {
	dup, w := treetest.Duplicity(t), newWorld(t)
	d := anyDialect(t, rng, dup, w)
	t.Logf("duplicity %q; hindsight %q", d.theirs, d.ours)
	src, repo := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "repo")
	shape := treetest.RandomOptions{Nodes: 10 + rng.IntN(60), MaxSize: 1 << (10 + rng.IntN(13)), OddNames: true, Special: true, Owners: true}
	treetest.Random(t, src, rng, shape)
	mixed := !d.alone && rng.IntN(2) == 0
	at := int64(1_700_000_000)
	var times []int64
	var states []treetest.Tree
	for i := range 2 + rng.IntN(5) {
		if i > 0 {
			at += 1 + rng.Int64N(200_000)
			treetest.Mutate(t, src, rng, at-1, 1+rng.IntN(20), shape)
		}
		full := i == 0 || rng.IntN(5) == 0
		if mixed && rng.IntN(2) == 0 {
			verb := map[bool]string{true: "full", false: "inc"}[full]
			w.run(t, append([]string{verb, "--allow-source-mismatch", "--current-time", epochText(at), src, treetest.URL(t, repo)}, d.ours...)...).exit(t, 0)
		} else {
			run := map[bool]func(testing.TB, string, string, int64, ...string) treetest.Result{true: dup.Full, false: dup.Inc}[full]
			run(t, src, repo, at, append([]string{"--allow-source-mismatch"}, d.theirs...)...).OK(t)
		}
		times, states = append(times, at), append(states, treetest.Record(t, src))
	}
	for _, i := range rng.Perm(len(times)) {
		w.readEveryWay(t, d, repo, times[i], states[i])
	}
	newest := filepath.Join(t.TempDir(), "newest")
	dup.Restore(t, repo, newest, times[len(times)-1], readOptions(d.theirs)...).OK(t)
	treetest.Equal(t, treetest.Record(t, newest), states[len(states)-1], treetest.AsDuplicity())
	w.run(t, append([]string{"verify", repo}, readOptions(d.ours)...)...).exit(t, 0)
}

// readEveryWay restores a state, and unpacks the archive that dump makes of it out of the
// index.
func (w *world) readEveryWay(t *testing.T, d *dialect, repo string, at int64, want treetest.Tree) {
	t.Helper()
	options := append([]string{"-t", epochText(at)}, readOptions(d.ours)...)
	restored := filepath.Join(t.TempDir(), "restored")
	w.run(t, append([]string{"restore", repo, restored}, options...)...).exit(t, 0)
	treetest.Equal(t, treetest.Record(t, restored), want, treetest.AsDuplicity())
	dumped := w.run(t, append([]string{"dump", repo}, options...)...).exit(t, 0)
	archive := filepath.Join(t.TempDir(), "dump.tar")
	if err := os.WriteFile(archive, []byte(dumped.stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	unpacked := t.TempDir()
	treetest.Run(t, treetest.Environ(), "", "tar", "-x", "-p", "--same-owner", "-f", archive, "-C", unpacked).OK(t)
	treetest.Equal(t, treetest.Record(t, unpacked), want, treetest.AsDuplicity())
}

// readOptions leaves out what only a writer is told.
func readOptions(options []string) []string {
	writing := []string{"--volsize", "--max-blocksize", "--encrypt-key", "--hidden-encrypt-key"}
	flags := []string{"--asynchronous-upload", "--no-compression", "--numeric-owner"}
	var kept []string
	for i := 0; i < len(options); i++ {
		switch {
		case slices.Contains(writing, options[i]):
			i++
		case !slices.Contains(flags, options[i]):
			kept = append(kept, options[i])
		}
	}
	return kept
}
