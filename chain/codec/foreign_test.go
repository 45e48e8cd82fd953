package codec_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/zeebo/blake3"

	"hindsight/chain/chaintest"
	"hindsight/chain/codec"
	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

// foreign is an object that somebody else wrote.
type foreign struct {
	name   string
	stored []byte
	data   []byte
	format codec.Format
	kr     *pgp.Keyring
	none   bool // it cannot be read in the middle
}

// mixed is data with long and short deflate blocks: source, zeros, random bytes.
func mixed(t testing.TB, n int) []byte {
	data := goSource(t, n)
	copy(data[n/4:n/2], make([]byte, n))
	rand.NewChaCha8([32]byte{2}).Read(data[n*3/4 : n*7/8])
	return data
}

// piped is what a command makes of the data.
func piped(t testing.TB, data []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(treetest.NeedTool(t, name), args...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

// gzips are gzip files by several programs.
func gzips(t testing.TB, data []byte) (all []foreign) {
	for _, level := range []string{"-6", "-1", "-9"} {
		all = append(all, foreign{name: "gzip " + level, stored: piped(t, data, "gzip", "-nc", level), data: data, format: gz})
		if treetest.Short() {
			return all
		}
	}
	all = append(all, foreign{name: "pigz", stored: piped(t, data, "pigz", "-nc", "-p2"), data: data})
	all = append(all, foreign{name: "zlib of Python", stored: piped(t, data, "python3", "-c",
		"import gzip,sys; sys.stdout.buffer.write(gzip.compress(sys.stdin.buffer.read()))"), data: data})
	var many bytes.Buffer
	for part := range bytes.SplitSeq(data, data[1<<20:1<<20+4]) {
		many.Write(gzipped(t, part, stdgzip.Header{Name: "part"}))
		many.Write(make([]byte, len(part)%3)) // padding
	}
	parts := bytes.Join(bytes.Split(data, data[1<<20:1<<20+4]), nil)
	all = append(all, foreign{name: "members", stored: many.Bytes(), data: parts})
	for i := range all {
		all[i].format = gz
	}
	return all
}

// messages are messages by gpg.
func messages(t testing.TB, data []byte) (all []foreign) {
	home := treetest.GPGHome(t)
	key := home.NewKey(t, treetest.Curve25519, "")
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	kr := pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte(passphrase)), GnuPGHome: home.Home})
	for _, m := range []struct {
		name string
		file bool // not from a pipe: the literal's length is known before
		none bool
		args []string
	}{
		{name: "symmetric", args: []string{"-c"}},
		{name: "file", file: true, args: []string{"-c"}},
		{name: "level 1", args: []string{"-c", "-z1"}},
		{name: "zlib", args: []string{"-c", "--compress-algo", "zlib"}},
		{name: "bzip2", none: true, args: []string{"-c", "--compress-algo", "bzip2"}},
		{name: "not compressed", args: []string{"-c", "-z0"}},
		{name: "file not compressed", file: true, args: []string{"-c", "-z0"}},
		{name: "3DES", args: []string{"-c", "--cipher-algo", "3DES", "--force-mdc"}},
		{name: "CAST5, not compressed", args: []string{"-c", "-z0", "--cipher-algo", "CAST5"}},
		{name: "Twofish", args: []string{"-c", "--cipher-algo", "TWOFISH"}},
		{name: "no MDC", none: true, args: []string{"-c", "--rfc2440", "--cipher-algo", "CAST5"}},
		{name: "public key", args: []string{"-e", "-r", key.ID()}},
		{name: "signed", args: []string{"-s", "-e", "-r", key.ID(), "-u", key.ID()}},
		{name: "signed, not compressed", args: []string{"-s", "-c", "-z0", "-u", key.ID()}},
	} {
		pass, stdin, args := passphrase, data, append([]string{"--s2k-count", "1024", "-o", "-"}, m.args...)
		if m.file {
			stdin, args = nil, append(args, file)
		}
		r := home.Run(t, pass, stdin, args...).OK(t)
		all = append(all, foreign{name: m.name, stored: []byte(r.Stdout), data: data, format: gpg, kr: kr, none: m.none})
		if treetest.Short() {
			break
		}
	}
	aead := chaintest.AEAD(t, kr, all[0].stored, treetest.AEAD{Cipher: 9, Mode: 2, Octet: 16}, passphrase)
	return append(all, foreign{name: "AEAD", stored: aead, data: data, format: gpg, kr: kr, none: true})
}

// Volumes of anybody are read in the middle, with the table that was gathered while they
// were read once.
func TestGatherForeign(t *testing.T) {
	size := 5 << 20
	if treetest.Short() {
		size = 1 << 20
	}
	data := mixed(t, size)
	for _, o := range append(gzips(t, data), messages(t, data)...) {
		t.Run(o.name, func(t *testing.T) {
			var key pgp.SessionKey
			for _, ahead := range []int{0, 3} {
				got, table := gather(t, o.stored, o.format, codec.ReaderOptions{Keyring: o.kr, Ahead: ahead})
				if !bytes.Equal(got, o.data) {
					t.Fatalf("read %d bytes, want %d", len(got), len(o.data))
				}
				if o.none {
					checkSequential(t, table, o.data)
					continue
				}
				if table == nil {
					t.Fatal("no table")
				}
				if table.Message != nil {
					var err error
					if key, err = o.kr.SessionKey(t.Context(), table.Message.ESK, table.Message.Prefix); err != nil {
						t.Fatal(err)
					}
				}
				checkTable(t, table, o.stored, o.data, key)
				damageBlocks(t, table, o.stored, o.data, key, 20)
				t.Log(describe(table))
				if o.format.Encrypted {
					readByTable(t, o, table)
				}
			}
		})
	}
}

// checkSequential checks the table of an object that cannot be read in the middle.
func checkSequential(t *testing.T, table *codec.Table, data []byte) {
	t.Helper()
	if table == nil || !table.Sequential || table.Check() != nil || table.Size() != int64(len(data)) {
		t.Fatalf("table %+v", table)
	}
	for i, b := range table.Blocks {
		if blake3.Sum256(data[b.TarOffset:b.TarOffset+int64(b.Len)]) != b.Sum {
			t.Errorf("hash of block %d", i)
		}
	}
	table.Blocks[0].StoredLen = 1
	if table.Check() == nil {
		t.Error("a block that says where it is")
	}
}

func readByTable(t *testing.T, o foreign, table *codec.Table) {
	t.Helper()
	r, err := codec.NewReader(t.Context(), bytes.NewReader(o.stored), gpg, codec.ReaderOptions{Keyring: o.kr, Table: table, Ahead: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got bytes.Buffer
	if _, err := got.ReadFrom(r); err != nil || !bytes.Equal(got.Bytes(), o.data) {
		t.Fatalf("by its table: %d bytes, %v", got.Len(), err)
	}
}

func describe(table *codec.Table) string {
	windows, longest := 0, int32(0)
	for _, b := range table.Blocks {
		longest = max(longest, b.Len)
		if b.Resume != nil {
			windows += len(b.Resume.Window)
		}
	}
	s := fmt.Sprintf("%d blocks of up to %d bytes, %d bytes of windows", len(table.Blocks), longest, windows)
	if table.Message != nil {
		s += fmt.Sprintf(", %d runs of chunks", len(table.Message.Layout.Runs))
	}
	return s
}
