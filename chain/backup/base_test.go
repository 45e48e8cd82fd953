package backup_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/codec"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
)

// keyring has a passphrase, cheaply derived.
func keyring(passphrase string) *pgp.Keyring {
	return pgp.NewKeyring(pgp.Options{
		S2KCount: 1024, Passphrase: func() ([]byte, error) { return []byte(passphrase), nil },
	})
}

// TestEncryptionChanges continues chains with and without encryption: each run that
// leaves a chain of two kinds says so once, and no passphrase gets in that does not
// open what is encrypted of it.
func TestEncryptionChanges(t *testing.T) {
	src, touch := smallSource(t)
	p := placeOn(t, storetest.NewMem(), storetest.NewMem())
	p.rcpt = pgp.Recipients{Symmetric: true}
	at := int64(t0)
	for i, c := range []struct {
		passphrase string // "": none, unencrypted
		mode       backup.Mode
		warning    error
		want       error
	}{
		{"one", backup.Full, nil, nil},
		{"", backup.Incremental, backup.ErrUnencrypted, nil},
		{"", backup.Incremental, backup.ErrUnencrypted, nil},
		{"two", backup.Incremental, nil, pgp.ErrWrongPassphrase},
		{"one", backup.Incremental, backup.ErrExposed, nil},
		{"one", backup.Incremental, nil, nil},
		{"", backup.Full, nil, nil},
		{"two", backup.Incremental, backup.ErrExposed, nil},
	} {
		at += 1000
		touch(at - 500)
		p.repo.Keys, p.format.Encrypted = keyring(c.passphrase), c.passphrase != ""
		for _, mismatch := range []bool{true, false} {
			var told []error
			opt := backup.Options{Mode: c.mode, AllowSourceMismatch: mismatch, DryRun: mismatch && c.want == nil}
			opt.Warn = func(path string, err error) { told = append(told, fmt.Errorf("%q: %w", path, err)) }
			stats, err := p.run(t, t.Context(), src, at, opt)
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Fatalf("run %d: error %v", i, err)
			}
			if err != nil && !strings.HasSuffix(err.Error(), "wrong passphrase, or the message is damaged") {
				t.Errorf("run %d: error %v", i, err)
			}
			if stats != nil && stats.Errors > 0 {
				t.Errorf("run %d: %d errors in the statistics", i, stats.Errors)
			}
			if len(told) > 1 || (len(told) == 1) != (c.warning != nil) || len(told) == 1 && !errors.Is(told[0], c.warning) {
				t.Errorf("run %d: warnings %v, want %v", i, told, c.warning)
			}
		}
	}
}

// TestBrokenBase continues chains that lack a volume, or a manifest's content: the
// backup is made, and says so once.
func TestBrokenBase(t *testing.T) {
	full, first := naming.Time(t0).String(), naming.Time(t0+1000).String()
	for name, c := range map[string]struct {
		drop, damage string
		write        bool // nothing can be decrypted
		want         string
	}{
		"whole":           {},
		"full, middle":    {drop: "full." + full + ".vol2.", want: "volume 2 of the full of " + full + " is missing"},
		"full, last":      {drop: "full." + full + ".vol3.", want: "volume 3 of the full of " + full + " is missing"},
		"full, all":       {drop: "full." + full + ".vol", want: "volume 1 of the full of " + full + " is missing"},
		"incremental":     {drop: first + ".vol1.", want: "volume 1 of the incremental of " + first + " is missing"},
		"full's manifest": {damage: "full." + full + ".manifest", want: "the manifest of the full of " + full + " cannot be read"},
		"no key, middle":  {drop: "full." + full + ".vol2.", write: true, want: "volume 2 of the full of " + full + " is missing"},
		"no key, last":    {drop: "full." + full + ".vol3.", write: true, want: "volume 3 of the full of " + full + " is missing"},
	} {
		src, touch := smallSource(t)
		st := storetest.NewMem()
		p := placeOn(t, st, storetest.NewMem())
		if c.write {
			p.format, p.rcpt, p.repo.Keys = codec.Format{Encrypted: true}, pgp.Recipients{Symmetric: true}, keyring("one")
		}
		p.backup(t, src, t0, backup.Options{Set: chain.SetOptions{VolumeSize: 1000}})
		touch(t0 + 500)
		p.backup(t, src, t0+1000, backup.Options{})
		touch(t0 + 1500)
		p.backup(t, src, t0+2000, backup.Options{})
		if n := len(p.load(t).Latest().Sets[0].Volumes); n != 3 {
			t.Fatalf("%s: %d volumes", name, n)
		}
		if c.drop != "" {
			drop(t, st, c.drop)
		}
		if c.damage != "" {
			for _, key := range st.Names() {
				if strings.Contains(key, c.damage) {
					must(t, st.Put(t.Context(), key, store.Bytes([]byte("Hostname x\nVol")), store.PutOptions{}))
				}
			}
		}
		var told []error
		opt := backup.Options{Warn: func(_ string, err error) { told = append(told, err) }}
		if c.write {
			p.repo.Keys = pgp.NewKeyring(pgp.Options{GnuPGHome: t.TempDir()})
			opt.DryRun, p.format.Encrypted = true, false
		}
		touch(t0 + 2500)
		if _, err := p.run(t, t.Context(), src, t0+3000, opt); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var broken []string
		for _, err := range told {
			if errors.Is(err, backup.ErrBroken) {
				broken = append(broken, err.Error())
			}
		}
		if len(broken) > 1 || (len(broken) == 1) != (c.want != "") || len(broken) == 1 && !strings.HasPrefix(broken[0], c.want) {
			t.Errorf("%s: told %q, want %q", name, told, c.want)
		}
	}
}

// TestPutOnly continues a chain with a credential that may list and put and nothing
// else, and a key that encrypts only: the machine goes by what it has kept, and does
// not lose the checks by it.
func TestPutOnly(t *testing.T) {
	src, touch := smallSource(t)
	st, archive := storetest.NewMem(), storetest.NewMem()
	p := placeOn(t, st, archive)
	denied := &store.Error{Op: "denied", Kind: store.ErrPermission}
	var rules []storetest.Rule
	for _, op := range []storetest.Op{storetest.Get, storetest.Delete, storetest.ListRemains, storetest.DeleteRemains} {
		rules = append(rules, storetest.Rule{Op: op, Times: -1, Err: denied})
	}
	log := storetest.NewOpLog(storetest.NewFault(st, rules...))
	p.repo.Store = log
	var told []error
	warn := func(_ string, err error) { told = append(told, err) }
	hosts := []string{"h"}
	p.backup(t, src, t0, backup.Options{Set: chain.SetOptions{VolumeSize: 1000, LocalDir: "/src"}, Warn: warn, Hostnames: hosts})
	for i := range 3 {
		at := int64(t0 + 1000*(i+1))
		touch(at - 500)
		stats := p.backup(t, src, at, backup.Options{Mode: backup.Incremental, Set: chain.SetOptions{LocalDir: "/src"}, Warn: warn, Hostnames: hosts})
		if !stats.Set.Inc {
			t.Errorf("run %d made a full", i)
		}
	}
	if len(told) > 0 {
		t.Errorf("warned of %v", told)
	}
	gets := 0
	for _, r := range log.Records() {
		if r.Op == storetest.Get {
			gets++
		}
	}
	if gets > 2*3 {
		t.Errorf("%d gets that are denied in 3 incrementals", gets)
	}
	// What it knows by itself is checked as ever.
	_, err := p.run(t, t.Context(), src, t0+9000, backup.Options{Set: chain.SetOptions{LocalDir: "/src"}, Hostnames: []string{"other"}})
	if !errors.Is(err, backup.ErrHostMismatch) {
		t.Errorf("backup of another host: error %v", err)
	}
	_, err = p.run(t, t.Context(), src, t0+9000, backup.Options{Set: chain.SetOptions{LocalDir: "/other"}, Hostnames: hosts})
	if !errors.Is(err, backup.ErrDirMismatch) {
		t.Errorf("backup of another directory: error %v", err)
	}
	drop(t, st, ".vol3.")
	p.backup(t, src, t0+9000, backup.Options{Set: chain.SetOptions{LocalDir: "/src"}, Warn: warn, Hostnames: hosts})
	if len(told) != 1 || !errors.Is(told[0], backup.ErrBroken) {
		t.Errorf("with a volume of the full gone: warned of %v", told)
	}
	// Without what it has kept it cannot go on, and says why.
	for _, name := range archive.Names() {
		must(t, archive.Delete(t.Context(), name))
	}
	_, err = p.run(t, t.Context(), src, t0+10000, backup.Options{Set: chain.SetOptions{LocalDir: "/src"}, Hostnames: hosts})
	if !errors.Is(err, store.ErrPermission) {
		t.Errorf("incremental without local signatures: error %v", err)
	}
}
