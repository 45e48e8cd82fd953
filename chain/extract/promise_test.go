package extract_test

import (
	"errors"
	"testing"

	"github.com/zeebo/blake3"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/treetest"
)

// TestPromisedContent restores small files of which the portable index knows the hashes:
// one that is not as it says is lost, if hashes are checked.
func TestPromisedContent(t *testing.T) {
	treetest.NeedRoot(t)
	a := newArchive()
	promised := map[string]string{"empty": "", "right": "content", "wrong": "other content"}
	stored := map[string]string{"empty": "", "right": "content", "wrong": "content"}
	a.writeSet(t, 0, historyOptions{Volume: 1 << 20}, func(w *chain.SetWriter) error {
		for _, p := range []string{"empty", "right", "wrong"} {
			e := difftar.Entry{Path: p, Kind: difftar.Snapshot, Meta: difftar.Meta{Type: difftar.Regular, Mode: 0o644}}
			data := []byte(stored[p])
			if err := addParts(w, e, data); err != nil {
				return err
			}
			sig := signature(data)
			e.Kind, e.Size = difftar.Signature, int64(len(sig))
			err := w.AddSignature(&e, sig, &chain.Details{Size: int64(len(data)), Hash: blake3.Sum256([]byte(promised[p]))})
			if err != nil {
				return err
			}
		}
		return nil
	})
	for _, hashes := range []bool{true, false} {
		x := a.extract(t, 0, extract.Options{Extras: extract.Extras{Hashes: hashes}})
		if x.err != nil || (len(x.lost) == 1) != hashes || errors.Is(x.lost["wrong"], extract.ErrContent) != hashes {
			t.Errorf("hashes %v: %v, lost %v", hashes, x.err, x.lost)
		}
		for p, content := range stored {
			got, ok := treetest.Record(t, x.target).Lookup(p)
			if ok != (p != "wrong" || !hashes) || ok && got.Size != int64(len(content)) {
				t.Errorf("hashes %v: %s: %v, %+v", hashes, p, ok, got)
			}
		}
	}
}
