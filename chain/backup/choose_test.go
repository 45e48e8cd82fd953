package backup_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/codec"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// smallSource is a tree of a few files. touch changes it.
func smallSource(t *testing.T) (src string, touch func(at int64) treetest.Tree) {
	t.Helper()
	src = filepath.Join(t.TempDir(), "src")
	touch = func(at int64) treetest.Tree {
		treetest.Write(t, src, treetest.File("f", strings.Repeat(naming.Time(at).String(), 100)).At(at), treetest.File("g", "same"), treetest.Dir("").At(at))
		return treetest.Record(t, src)
	}
	touch(treetest.BaseTime)
	return src, touch
}

const t0 = treetest.BaseTime + 1000

// drop deletes the objects of which the names contain part.
func drop(t *testing.T, st store.Store, part string) {
	t.Helper()
	n := 0
	for o, err := range st.List(t.Context(), "") {
		must(t, err)
		if strings.Contains(o.Name, part) {
			must(t, st.Delete(t.Context(), o.Name))
			n++
		}
	}
	if n == 0 {
		t.Fatalf("nothing to delete: %s", part)
	}
}

// TestLostSignatures continues chains whose newest sets have lost their signatures:
// one such set is superseded, more need a full (duplicity-format.md §5.1.6).
func TestLostSignatures(t *testing.T) {
	for lost := range 4 {
		src, touch := smallSource(t)
		st := storetest.NewMem()
		p := placeOn(t, st, storetest.NewMem())
		states := make(map[int64]treetest.Tree)
		for i := range int64(3) {
			at := t0 + 1000*i
			states[at] = touch(at - 500)
			p.backup(t, src, at, backup.Options{})
		}
		for i := 3 - lost; i < 3; i++ {
			part := "new-signatures." + naming.Time(t0+1000*int64(i)-1000).String()
			if i == 0 {
				part = "full-signatures"
			}
			drop(t, st, part)
		}
		at := int64(t0 + 5000)
		states[at] = touch(at - 500)
		_, err := p.run(t, t.Context(), src, at-1, backup.Options{Mode: backup.Incremental})
		if (err != nil) != (lost > 1) || err != nil && !errors.Is(err, chain.ErrNoSignatures) {
			t.Errorf("%d lost: explicit incremental: %v", lost, err)
		}
		stats := p.backup(t, src, at, backup.Options{})
		if stats.Set.Inc != (lost < 2) {
			t.Errorf("%d lost: made %v", lost, stats.Set)
		}
		if lost == 1 { // that set cannot be reached any more
			delete(states, t0+2000)
		}
		for at, want := range states {
			p.wantState(t, at, want)
		}
	}
}

// TestSetTime: a clock that is a little behind does no harm, one that is far behind
// is an error, and a name that is taken is avoided.
func TestSetTime(t *testing.T) {
	src, touch := smallSource(t)
	st := storetest.NewMem()
	p := placeOn(t, st, storetest.NewMem())
	p.backup(t, src, t0, backup.Options{})
	for _, c := range []struct{ at, want int64 }{
		{t0 + 100, t0 + 100}, {t0 + 100, t0 + 101}, {t0 + 41, t0 + 102}, {t0, 0}, {t0 + 1000, t0 + 1002},
	} {
		if c.want == t0+1002 { // remains of other machines
			must(t, st.Put(t.Context(), "duplicity-full."+naming.Time(t0+1000).String()+".vol1.difftar.gz", store.Bytes(nil), store.PutOptions{}))
			must(t, st.Put(t.Context(), "duplicity-inc."+naming.Time(t0+102).String()+".to."+naming.Time(t0+1001).String()+".vol1.difftar.gz", store.Bytes(nil), store.PutOptions{}))
		}
		touch(c.at - 500)
		stats, err := p.run(t, t.Context(), src, c.at, backup.Options{})
		switch {
		case c.want == 0 && err == nil:
			t.Errorf("at %d: no error, far behind the newest set", c.at)
		case c.want > 0 && err != nil:
			t.Errorf("at %d: %v", c.at, err)
		case err == nil && int64(stats.Set.End) != c.want:
			t.Errorf("at %d: set of %v, want %v", c.at, stats.Set, naming.Time(c.want))
		}
	}
}

// TestFullAfter begins a new chain when the last full is older than that.
func TestFullAfter(t *testing.T) {
	src, _ := smallSource(t)
	p := placeOn(t, storetest.NewMem(), storetest.NewMem())
	for _, c := range []struct {
		at  int64
		inc bool
	}{{t0, false}, {t0 + 3600, true}, {t0 + 3601, false}, {t0 + 3602, true}} {
		if stats := p.backup(t, src, c.at, backup.Options{FullAfter: time.Hour}); stats.Set.Inc != c.inc {
			t.Errorf("at %d: %v", c.at, stats.Set)
		}
	}
}

// TestOrigin refuses to continue a chain of another host or directory, but not to
// begin one.
func TestOrigin(t *testing.T) {
	src, _ := smallSource(t)
	p := placeOn(t, storetest.NewMem(), storetest.NewMem())
	at := int64(t0)
	try := func(opt backup.Options) error {
		at += 1000
		_, err := p.run(t, t.Context(), src, at, opt)
		return err
	}
	host := func(names ...string) backup.Options { return backup.Options{Hostnames: names} }
	must(t, try(host("alpha", "alpha.example.org")))
	must(t, try(host("other", "alpha"))) // stores "other" from now on
	if err := try(host("alpha")); !errors.Is(err, backup.ErrHostMismatch) {
		t.Errorf("another host: %v", err)
	}
	if err := try(backup.Options{Hostnames: []string{"other"}, Set: chain.SetOptions{LocalDir: "/elsewhere"}}); !errors.Is(err, backup.ErrDirMismatch) {
		t.Errorf("another directory: %v", err)
	}
	must(t, try(backup.Options{Hostnames: []string{"alpha"}, AllowSourceMismatch: true, Set: chain.SetOptions{LocalDir: "/elsewhere"}}))
	must(t, try(backup.Options{Hostnames: []string{"beta"}, Mode: backup.Full}))
	must(t, try(host("beta")))
}

// TestWriteOnly continues a chain that cannot be decrypted where it is written.
func TestWriteOnly(t *testing.T) {
	home, writer := treetest.GPGHome(t), treetest.GPGHome(t)
	key := home.NewKey(t, treetest.Curve25519, passphrase)
	public := filepath.Join(t.TempDir(), "public.asc")
	treetest.Write(t, filepath.Dir(public), treetest.File("public.asc", home.Export(t, key)))
	src, touch := smallSource(t)
	p := placeOn(t, storetest.NewMem(), storetest.NewMem())
	p.format = codec.Format{Encrypted: true, Compressed: true}
	p.rcpt = pgp.Recipients{Keys: []string{key.ID()}}
	p.repo.Keys = pgp.NewKeyring(pgp.Options{KeyFiles: []string{public}, GnuPGHome: writer.Home})
	states := make(map[int64]treetest.Tree)
	for i := range int64(3) {
		at := t0 + 1000*i
		states[at] = touch(at - 500)
		if stats := p.backup(t, src, at, backup.Options{}); stats.Set.Inc != (i > 0) {
			t.Errorf("made %v", stats.Set)
		}
	}
	p.repo.Keys = pgp.NewKeyring(pgp.Options{
		GnuPGHome: home.Home, Passphrase: func() ([]byte, error) { return []byte(passphrase), nil },
	})
	for at, want := range states {
		p.wantState(t, at, want)
	}
}

// TestOtherPassphrase refuses to continue a chain under another passphrase: nobody
// would know which one to give.
func TestOtherPassphrase(t *testing.T) {
	src, _ := smallSource(t)
	p := placeOn(t, storetest.NewMem(), storetest.NewMem())
	p.format = codec.Format{Encrypted: true, Compressed: true}
	p.rcpt = pgp.Recipients{Symmetric: true}
	at := int64(t0)
	for _, c := range []struct {
		passphrase string
		want       error
	}{{"one", nil}, {"two", pgp.ErrWrongPassphrase}, {"one", nil}} {
		at += 1000
		p.repo.Keys = pgp.NewKeyring(pgp.Options{
			S2KCount: 1024, Passphrase: func() ([]byte, error) { return []byte(c.passphrase), nil },
		})
		if _, err := p.run(t, t.Context(), src, at, backup.Options{}); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("passphrase %q: %v", c.passphrase, err)
		}
	}
}

// putHook calls before when an object whose name contains part is to be put.
type putHook struct {
	store.Store
	part   string
	before func()
}

func (h *putHook) Put(ctx context.Context, name string, body store.Body, opt store.PutOptions) error {
	if strings.Contains(name, h.part) {
		h.before()
	}
	return h.Store.Put(ctx, name, body, opt)
}

// TestRacedSets has another machine finish a backup while ours is being made: only
// one of them is committed, unless both have a place.
func TestRacedSets(t *testing.T) {
	const at = t0 + 1000
	for _, c := range []struct {
		name         string
		ours, theirs backup.Mode
		when         int64 // theirs less ours, in seconds
		raced        bool
	}{
		{"later incremental", backup.Incremental, backup.Incremental, 10, true},
		{"earlier incremental", backup.Incremental, backup.Incremental, -10, true},
		{"incremental of the same time", backup.Incremental, backup.Incremental, 0, true},
		{"earlier full within our chain", backup.Incremental, backup.Full, -10, true},
		{"full of the same time", backup.Full, backup.Full, 0, true},
		{"later full", backup.Full, backup.Full, 10, true},
		{"chain continued past our full", backup.Full, backup.Incremental, 10, true},
		{"earlier full", backup.Full, backup.Full, -10, false},
		{"earlier incremental and our full", backup.Full, backup.Incremental, -10, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			src, touch := smallSource(t)
			st, cache := storetest.NewMem(), storetest.NewMem()
			states := map[int64]treetest.Tree{t0: touch(t0 - 500)}
			placeOn(t, st, cache).backup(t, src, t0, backup.Options{})
			now := touch(at - 500)
			other := placeOn(t, st, cache.Clone())
			hook := &putHook{st, "signatures", func() {
				// A time that is taken already, as a volume of ours shows, is left alone.
				stats := other.backup(t, src, at+c.when, backup.Options{Mode: c.theirs})
				states[int64(stats.Set.End)] = now
			}}
			_, err := placeOn(t, hook, cache).run(t, t.Context(), src, at, backup.Options{Mode: c.ours})
			if c.raced != errors.Is(err, backup.ErrRaced) || !c.raced && err != nil {
				t.Errorf("error %v", err)
			}
			if !c.raced {
				states[at] = now
			}
			p := placeOn(t, st, storetest.NewMem())
			for when, want := range states {
				p.wantState(t, when, want)
			}
			if col := p.load(t); len(col.Incomplete)+len(col.Orphans)+len(col.Superseded) > 0 {
				t.Errorf("remains: %d incomplete, %d orphans, %d superseded", len(col.Incomplete), len(col.Orphans), len(col.Superseded))
			}
		})
	}
}
