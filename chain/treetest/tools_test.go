package treetest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hindsight/chain/treetest"
)

func TestRun(t *testing.T) {
	r := treetest.Run(t, treetest.Environ("TREETEST=yes", "HOME"), "/", "sh", "-c", `echo "$TREETEST$HOME $PWD"; echo err >&2; exit 3`)
	if r.Stdout != "yes /\n" || r.Stderr != "err\n" || r.ExitCode != 3 || r.Output() != "yes /\nerr\n" {
		t.Errorf("%+v", r)
	}
	r.Exit(t, 3)
}

func TestGPG(t *testing.T) {
	g := treetest.GPGHome(t)
	if len(g.Home) > 60 {
		t.Errorf("home %s is too long for the agent's sockets", g.Home)
	}
	other := treetest.GPGHome(t)
	for _, algorithm := range []string{treetest.RSA2048, treetest.Curve25519} {
		key := g.NewKey(t, algorithm, "pass of "+algorithm)
		if len(key.Fingerprint) != 40 || len(key.Subkey) != 40 || len(key.ID()) != 16 || key.Fingerprint == key.Subkey {
			t.Fatalf("%s: %+v", algorithm, key)
		}
		sealed := g.Run(t, key.Passphrase, []byte("secret text"), "--encrypt", "--sign", "-u", key.Fingerprint, "-r", key.Fingerprint).OK(t).Stdout

		secret := filepath.Join(t.TempDir(), "secret.asc")
		if err := os.WriteFile(secret, []byte(g.ExportSecret(t, key)), 0o600); err != nil {
			t.Fatal(err)
		}
		other.Import(t, secret)
		if got := other.Run(t, key.Passphrase, []byte(sealed), "--decrypt").OK(t); got.Stdout != "secret text" || !strings.Contains(got.Stderr, "Good signature") {
			t.Errorf("%s: decrypted %q\n%s", algorithm, got.Stdout, got.Stderr)
		}
		if !strings.HasPrefix(g.Export(t, key), "-----BEGIN PGP PUBLIC KEY BLOCK-----") {
			t.Errorf("%s: no public key", algorithm)
		}
	}
	if wrong := treetest.GPGHome(t).Run(t, "", nil, "--list-secret-keys"); wrong.Stdout != "" {
		t.Errorf("a new home has keys: %s", wrong.Stdout)
	}
	if n := len(g.Keys(t)); n != 2 {
		t.Errorf("%d keys, want 2", n)
	}
	if !slices.Contains(g.Env("A=b"), "GNUPGHOME="+g.Home) || !slices.Contains(g.Env("A=b"), "A=b") {
		t.Error("environment is incomplete")
	}
}

func TestGPGImportCase(t *testing.T) {
	c := treetest.LoadCase(t, "gpg-pubkey-sign")
	g := treetest.GPGHome(t)
	g.ImportCase(t, c)
	var got, want []string
	for _, k := range g.Keys(t) {
		got = append(got, k.Fingerprint)
	}
	for _, k := range c.Keys {
		want = append(want, k.Fingerprint)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
}

// TestDuplicity takes a random tree, changed twice, through real duplicity and back.
func TestDuplicity(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		t.Run(map[bool]string{false: "gz", true: "gpg"}[encrypted], func(t *testing.T) {
			d := treetest.Duplicity(t)
			if encrypted {
				d.Encrypt(t, nil, "open sesame")
			}
			src, repo := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "repo")
			rng := treetest.Rand(t, 3)
			opts := treetest.RandomOptions{OddNames: true, Special: true, Owners: true}
			treetest.Random(t, src, rng, opts)
			first := treetest.Record(t, src)
			const day = 86400
			d.Full(t, src, repo, treetest.BaseTime+day).OK(t)
			treetest.Mutate(t, src, rng, treetest.BaseTime+day+100, 10, opts)
			second := treetest.Record(t, src)
			d.Inc(t, src, repo, treetest.BaseTime+2*day).OK(t)
			d.Verify(t, repo, src, "--compare-data").OK(t)
			d.Cleanup(t, repo).OK(t)

			for _, state := range []struct {
				time int64
				want treetest.Tree
			}{{treetest.BaseTime + day, first}, {0, second}} {
				target := filepath.Join(t.TempDir(), "out")
				d.Restore(t, repo, target, state.time).OK(t)
				treetest.Equal(t, treetest.Record(t, target), state.want, treetest.AsDuplicity())
			}
			if out := d.CollectionStatus(t, repo).OK(t).Stdout; !strings.Contains(out, "Number of contained backup sets: 2") {
				t.Errorf("status:\n%s", out)
			}
			if out := d.List(t, repo, treetest.BaseTime+day).OK(t).Stdout; !strings.Contains(out, "snapshot") {
				t.Errorf("list:\n%s", out)
			}
			name := map[bool]string{false: "duplicity-full.20231115T221320Z.manifest", true: "duplicity-full.20231115T221320Z.manifest.gpg"}[encrypted]
			if _, err := os.Stat(filepath.Join(repo, name)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDuplicitySoak holds Mutate and AsDuplicity to what real duplicity notices and
// keeps: chains of random edits, restored at a random time.
func TestDuplicitySoak(t *testing.T) {
	treetest.NeedRoot(t)
	if testing.Short() {
		t.Skip("runs duplicity many times")
	}
	end := time.Now().Add(treetest.SoakTime(t, 0))
	opts := treetest.RandomOptions{OddNames: true, Special: true, Owners: true}
	for seed := uint64(1); !t.Failed() && (seed == 1 || time.Now().Before(end)); seed++ {
		d := treetest.Duplicity(t)
		src, repo := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "repo")
		rng := treetest.Rand(t, seed)
		treetest.Random(t, src, rng, opts)
		states := []treetest.Tree{treetest.Record(t, src)}
		now := int64(treetest.BaseTime + 86400)
		d.Full(t, src, repo, now).OK(t)
		for step := int64(1); step <= 3; step++ {
			log := treetest.Mutate(t, src, rng, now+100*step, 15, opts)
			t.Logf("edits of step %d:\n%s", step, strings.Join(log, "\n"))
			states = append(states, treetest.Record(t, src))
			d.Inc(t, src, repo, now+100*step+50).OK(t)
		}
		pick := rng.IntN(len(states))
		target := filepath.Join(t.TempDir(), "out")
		when := now
		if pick > 0 {
			when += 100*int64(pick) + 50
		}
		d.Restore(t, repo, target, when).OK(t)
		treetest.Equal(t, treetest.Record(t, target), states[pick], treetest.AsDuplicity())
	}
}
