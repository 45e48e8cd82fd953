package index_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"hindsight/chain"
	"hindsight/chain/chaintest"
	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
	"hindsight/index"
)

// FuzzScan proves that no scan file, whatever is in it, does harm, and that one that was
// changed is not taken.
func FuzzScan(f *testing.F) {
	name := filepath.Join(f.TempDir(), "scan")
	if err := index.SampleScan(name); err != nil {
		f.Fatal(err)
	}
	if n, err := index.ScanFileAgain(name); err != nil || n != 300 {
		f.Fatalf("a scan file of 300 entries has %d, %v", n, err)
	}
	good, err := os.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := index.ScanFileAgain(name); err == nil && n > 0 && !bytes.Equal(b, good) && n == 300 {
			t.Errorf("a changed file is taken for one of %d entries", n)
		}
	})
}

// FuzzTable proves that a kept table is read as it was written.
func FuzzTable(f *testing.F) {
	f.Add([]byte{0, 4})
	f.Add([]byte{1})
	f.Add(append([]byte{2, 5}, make([]byte, 32)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		repo := &chain.Repository{Keys: pgp.NewKeyring(pgp.Options{GPG: "/nonexistent"})}
		again, err := index.TableAgain(context.Background(), repo, b)
		if err != nil || b[0] == 1 {
			return
		}
		if last, err := index.TableAgain(context.Background(), repo, again); err != nil || !bytes.Equal(last, again) {
			t.Errorf("%x became %x, and then %x, %v", b, again, last, err)
		}
	})
}

// TestWindowsAreSealed proves that of an encrypted volume that another program wrote
// nothing is kept that can be read without its key, and that it can be read with it.
func TestWindowsAreSealed(t *testing.T) {
	treetest.NeedTool(t, "duplicity")
	tmp := t.TempDir()
	text := treetest.Content(treetest.Rand(t, 8), 6<<20)
	treetest.Write(t, filepath.Join(tmp, "src"), treetest.File("text", string(text)))
	d := treetest.Duplicity(t)
	d.Encrypt(t, treetest.GPGHome(t), "secret")
	d.Full(t, filepath.Join(tmp, "src"), filepath.Join(tmp, "repo"), treetest.BaseTime).OK(t)
	r := chaintest.Open(t, filepath.Join(tmp, "repo"), "secret")
	dir := t.TempDir()
	x := openIndex(t, dir)
	build(t, x, r, chaintest.Load(t, r))
	sc := index.NewScanner(x, r)
	if err := sc.Prefetch(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	if err := sc.Close(); err != nil {
		t.Fatal(err)
	}
	sealed := 0
	for _, name := range glob(t, dir, "scans/*.scan") {
		b, err := index.KeptTable(name)
		if err != nil {
			t.Fatal(err)
		}
		if b[0] != 1 {
			continue
		}
		sealed++
		if _, err := index.TableAgain(context.Background(), r, b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		locked := &chain.Repository{Keys: pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte("wrong")), GnuPGHome: t.TempDir()})}
		if _, err := index.TableAgain(context.Background(), locked, b); err == nil {
			t.Errorf("%s can be read with a wrong passphrase", name)
		}
		b[len(b)/2] ^= 1 // most of it is sealed
		if _, err := index.TableAgain(context.Background(), r, b); err == nil {
			t.Errorf("%s was changed, and is taken", name)
		}
	}
	if sealed == 0 {
		t.Error("no table is sealed")
	}
}
