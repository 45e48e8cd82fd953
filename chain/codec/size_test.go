package codec_test

import (
	"path/filepath"
	"testing"

	"hindsight/chain/codec"
	"hindsight/chain/codec/deflate"
	"hindsight/chain/treetest"
)

// corpusTar is a tar of the benchmark's corpus, smaller.
func corpusTar(t *testing.T) []byte {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "corpus")
	if err := treetest.Corpus(dir, 0.02); err != nil {
		t.Fatal(err)
	}
	data := run(t, nil, "tar", "-C", dir, "--sort=name", "--format=ustar", "--owner=0", "--group=0", "--numeric-owner", "-c", ".")
	t.Logf("a tar of %d bytes", len(data))
	return data
}

// Blocks may cost one per cent over one stream of the same compressor.
func TestBlocksCostLittle(t *testing.T) {
	treetest.Sequential(t)
	s := session(t, keyring())
	for name, data := range map[string][]byte{"source": goSource(t, 4<<20), "corpus": corpusTar(t)} {
		for _, f := range []codec.Format{gz, gpg} {
			e, err := deflate.NewEncoder(codec.DefaultLevel(f))
			if err != nil {
				t.Fatal(err)
			}
			whole := len(e.Append(nil, data, true))
			stored, _ := write(t, f, codec.WriterOptions{Session: s}, data, 5000)
			t.Logf("%s, %s: %d bytes stored as %d, in one stream %d", name, f, len(data), len(stored), whole)
			if len(stored) > whole+whole/100 {
				t.Errorf("%s, %s: %d bytes, in one stream %d", name, f, len(stored), whole)
			}
		}
	}
}
