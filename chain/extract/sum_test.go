package extract_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain"
	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/librsync"
)

// longBlocks is a content, and its signature in one block of which nobody would hold
// the whole.
func longBlocks(t *testing.T) (content, sig []byte) {
	t.Helper()
	content = make([]byte, 17<<20)
	var b bytes.Buffer
	w := librsync.NewSignatureWriter(&b, librsync.MaxBlockLen)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return content, b.Bytes()
}

// A signature chooses how long its blocks are, and so how much must be held to check a
// content by it: beyond a bound that is not done, and said.
func TestCheckOfLongBlocks(t *testing.T) {
	content, sig := longBlocks(t)
	a := newArchive()
	meta := difftar.Meta{Type: difftar.Regular, Mode: 0o644, MTime: 1}
	a.writeSet(t, 0, historyOptions{}, func(w *chain.SetWriter) error {
		return addSigned(w, "f", difftar.Snapshot, meta, content, sig)
	})
	var lost []string
	_, err := extract.Run(t.Context(), extract.Options{
		Repository: a.repo, Sets: a.sets(t, 0), Sink: extract.Nowhere{}, Check: true,
		Lost: func(path string, err error) {
			lost = append(lost, path+": "+err.Error())
			if errors.Is(err, extract.ErrContent) {
				t.Errorf("%s: %v", path, err)
			}
		},
	})
	if err != nil || len(lost) != 1 || !strings.HasPrefix(lost[0], "f: ") {
		t.Errorf("error %v, lost %q", err, lost)
	}
}

// What is there is extracted once more if its blocks are too long to be held.
func TestKeptOfLongBlocks(t *testing.T) {
	content, sig := longBlocks(t)
	target := t.TempDir()
	if err := os.WriteFile(filepath.Join(target, "f"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	disk, err := extract.NewDisk(target, extract.DiskOptions{Replace: true, VerifyExisting: true, NoOwnership: true})
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	long, err := librsync.ReadFingerprint(bytes.NewReader(sig))
	if err != nil {
		t.Fatal(err)
	}
	short, err := librsync.ReadFingerprint(bytes.NewReader(signature(content)))
	if err != nil {
		t.Fatal(err)
	}
	meta := difftar.Meta{Type: difftar.Regular, Mode: 0o600, MTime: 1}
	for _, tt := range []struct {
		blocks librsync.Fingerprint
		want   extract.Kept
	}{{long, extract.Differs}, {short, extract.Content}} {
		known := extract.Known{Size: -1, HasBlocks: true, Blocks: tt.blocks}
		list := []extract.Existing{{Path: "f", Meta: &meta, Known: &known}}
		if err := disk.Kept(t.Context(), list); err != nil || list[0].Kept != tt.want {
			t.Errorf("blocks of %d bytes: %v, %v, want %v", tt.blocks.BlockLen(), list[0].Kept, err, tt.want)
		}
	}
}
