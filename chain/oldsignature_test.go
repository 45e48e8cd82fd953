package chain_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain"
	run "hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/difftar"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// TestOldSignatures reads signatures in the middle of copies in all states that an
// archive can be in.
func TestOldSignatures(t *testing.T) {
	r := chaintest.New(t)
	rng := treetest.Rand(t, 21)
	treetest.Random(t, r.Source, rng, treetest.RandomOptions{Nodes: 40})
	treetest.Write(t, r.Source, treetest.File("large", string(treetest.Content(rng, 6<<20))))
	r.Backup(1_700_000_000, run.Full)
	s := r.Load().Latest().Sets[0]
	archive := filepath.Join(r.Dir, "..", "archive")
	file := func(part string) string {
		list, err := filepath.Glob(filepath.Join(archive, part))
		if err != nil || len(list) != 1 {
			t.Fatalf("%s: %q, %v", part, list, err)
		}
		return list[0]
	}
	want := signatureData(t, &r.Repository, s)
	read := func() error {
		o, err := r.OldSignatures(t.Context(), s)
		if err != nil {
			return err
		}
		for off, data := range want {
			got := make([]byte, len(data))
			for n := 0; n < len(got); {
				k, err := o.Read(t.Context(), got[n:], off+int64(n))
				if err != nil {
					return err
				}
				n += k
			}
			if !bytes.Equal(got, data) {
				t.Errorf("the signature at %d differs", off)
			}
		}
		return nil
	}
	change := func(name string, f func([]byte) []byte) {
		b, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(name, f(b), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	const table, copied = "table.*", "duplicity-full-signatures.*"
	for _, step := range []struct {
		name string
		do   func()
		fail bool
	}{
		{"as the backup left it", func() {}, false},
		{"with its table", func() { file(table) }, false},
		{"table damaged", func() { change(file(table), flip) }, false},
		{"table cut", func() { change(file(table), cut) }, false},
		{"copy damaged", func() { change(file(copied), flip) }, true},
		{"copy and table gone", func() { os.Remove(file(copied)); os.Remove(file(table)) }, false},
		{"copy cut, no table", func() { change(file(copied), cut); os.Remove(file(table)) }, true},
		{"after that", func() {}, false}, // what is damaged was thrown away
	} {
		step.do()
		err := read()
		var corrupt *chain.CorruptError
		if step.fail != errors.As(err, &corrupt) || !step.fail && err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	log := storetest.NewOpLog(r.Store)
	r.Store = log
	if err := read(); err != nil {
		t.Error(err)
	}
	if got := log.String(); strings.Contains(got, "get") {
		t.Errorf("with a copy the store was asked:\n%s", got)
	}
	col := r.Load()
	col.Chains = nil
	if err := r.SyncArchive(t.Context(), col); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(archive); len(left) != 0 {
		t.Errorf("the archive keeps %v of a set that is gone", left)
	}
}

// signatureData is a set's signatures by their offsets.
func signatureData(t *testing.T, r *chain.Repository, s *chain.Set) map[int64][]byte {
	t.Helper()
	sr, err := r.Signatures(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer sr.Close()
	all := make(map[int64][]byte)
	for {
		e, err := sr.Next()
		if err == io.EOF {
			return all
		}
		if err == nil && e.Kind == difftar.Signature {
			all[e.Offset], err = io.ReadAll(sr)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
