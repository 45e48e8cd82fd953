package chain_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/dirstore"
	"hindsight/chain/manifest"
	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

// stored is an object that can be read in the middle, and all of its plain bytes.
type stored struct {
	name  string
	repo  *chain.Repository
	o     chain.Object
	table *codec.Table
	data  []byte
}

func (s *stored) ranges(t testing.TB) *chain.RangeReader {
	t.Helper()
	r, err := s.repo.Ranges(s.o, s.table)
	if err != nil {
		t.Fatalf("%s: %v", s.name, err)
	}
	return r
}

// plainOf decodes an object from its beginning.
func plainOf(t testing.TB, r *chain.Repository, o chain.Object) []byte {
	t.Helper()
	cr, err := codec.NewReader(t.Context(), bytes.NewReader(get(t, r.Store, o.Key)), o.Format(), codec.ReaderOptions{Keyring: r.Keys})
	if err != nil {
		t.Fatalf("%s: %v", o.Key, err)
	}
	defer cr.Close()
	data, err := io.ReadAll(cr)
	if err != nil {
		t.Fatalf("%s: %v", o.Key, err)
	}
	return data
}

// gatherVolume reads a volume's entries, as everybody does, with its table.
func gatherVolume(ctx context.Context, r *chain.Repository, s *chain.Set, v manifest.Volume, opt chain.VolumeOptions) (*chain.VolumeReader, error) {
	vr, err := r.OpenVolume(ctx, s, v, opt)
	if err != nil {
		return nil, err
	}
	defer vr.Close()
	for {
		if _, err := vr.Next(); err == io.EOF {
			return vr, nil
		} else if err != nil {
			return vr, err
		}
	}
}

// gathered is every object of a repository that was read whole and has a table.
func gathered(t testing.TB, name string, r *chain.Repository, col *chain.Collection) (all []*stored) {
	t.Helper()
	keep := func(o chain.Object, table *codec.Table) {
		if table == nil {
			t.Errorf("%s: %s has no table", name, o.Key)
			return
		}
		all = append(all, &stored{name + ": " + o.Key, r, o, table, plainOf(t, r, o)})
	}
	for _, ch := range col.Chains {
		for _, s := range ch.Sets {
			m, err := r.Manifest(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range m.Volumes {
				vr, err := gatherVolume(t.Context(), r, s, v, chain.VolumeOptions{Gather: true})
				if err == nil {
					keep(vr.Object, vr.Table())
				} else if vr != nil && vr.Table() != nil {
					t.Errorf("%s: a table of a volume that is damaged: %v", name, err)
				}
			}
		}
	}
	return all
}

func goldenObjects(t testing.TB) (all []*stored) {
	for i, c := range treetest.LoadCases(t) {
		if testing.Short() && i%6 != 0 { // each key derivation takes its time
			continue
		}
		r, col := openCase(t, c)
		all = append(all, gathered(t, c.Name, r, col)...)
	}
	return all
}

// duplicityObjects are what the duplicity that is installed makes of a small server.
func duplicityObjects(t testing.TB) (all []*stored) {
	src := filepath.Join(t.TempDir(), "src")
	if err := treetest.Corpus(src, 0.015); err != nil {
		t.Fatal(err)
	}
	home := treetest.GPGHome(t)
	id := home.NewKey(t, treetest.Curve25519, passphrase).ID()
	for _, way := range []struct {
		name    string
		options []string // of gpg; nil: no encryption
	}{
		{"none", nil},
		{"gz", nil},
		{"symmetric", []string{}},
		{"public key", []string{"--encrypt-key", id}},
		{"signed", []string{"--encrypt-sign-key", id}},
	} {
		d := treetest.Duplicity(t)
		if way.name == "none" {
			d.Options = append(d.Options, "--no-compression")
		}
		if way.options != nil {
			d.Encrypt(t, home, passphrase, way.options...)
		}
		d.Options = append(d.Options, "--volsize", "3")
		repo := t.TempDir()
		d.Full(t, src, repo, 1_800_000_000).OK(t)
		st, err := dirstore.Open(repo, false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		keys := pgp.Options{Passphrase: pgp.Passphrase([]byte(passphrase)), GnuPGHome: home.Home}
		r := &chain.Repository{Store: st, Keys: pgp.NewKeyring(keys)}
		got := gathered(t, "duplicity, "+way.name, r, load(t, st))
		if len(got) < 2 {
			t.Errorf("%s: %d objects", way.name, len(got))
		}
		all = append(all, got...)
	}
	return all
}

// ourObjects are sets of our own, whose tables are gathered as if they were lost. They are
// made once for all tests, which leave them as they are.
func ourObjects(t testing.TB) []*stored {
	t.Helper()
	ours.once.Do(func() { ours.objects = makeObjects(t) })
	if len(ours.objects) == 0 {
		t.Fatal("an earlier test could not make them")
	}
	return ours.objects
}

var ours struct {
	once    sync.Once
	objects []*stored
}

func makeObjects(t testing.TB) (all []*stored) {
	kr := pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte(passphrase)), S2KCount: 1024})
	session, err := kr.NewSession(t.Context(), pgp.Recipients{Symmetric: true}, pgp.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	items := []item{dir("")}
	for i := range 60 {
		items = append(items, parts(fmt.Sprintf("f%02d", i), strings.Repeat(string(noise(900+i*40, byte(i))), 40))...)
	}
	for _, f := range []codec.Format{{}, gz, {Encrypted: true}, {Encrypted: true, Compressed: true}} {
		r, st := newRepository()
		r.Keys = kr
		mustBackup(t, r, full(1), chain.SetOptions{Format: f, Session: session, Pool: newPool(t), VolumeSize: 2 << 20}, items)
		all = append(all, gathered(t, "ours, "+f.String(), r, load(t, st))...)
	}
	return all
}

const passphrase = "quiet tin lamp"
