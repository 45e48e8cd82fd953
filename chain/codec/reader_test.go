package codec_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"hindsight/chain/codec"
	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

func gzipped(t testing.TB, data []byte, head stdgzip.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	z := stdgzip.NewWriter(&out)
	z.Header = head
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestGzipDialects(t *testing.T) {
	treetest.Sequential(t)
	data := sample(100000, 1)
	simple := gzipped(t, data, stdgzip.Header{})
	named := gzipped(t, data, stdgzip.Header{Name: "a", Comment: "b", Extra: []byte("xy\x01\x00z")})
	checked := []byte("\x1f\x8b\x08\x02\x00\x00\x00\x00\x00\xff\x17\x2b") // CRC-16 of what precedes
	empty := gzipped(t, nil, stdgzip.Header{})
	for _, tt := range []struct {
		name   string
		stored []byte
		want   []byte
		err    error
	}{
		{"simple", simple, data, nil},
		{"named", named, data, nil},
		{"members", bytes.Join([][]byte{simple, empty, named}, nil), append(bytes.Clone(data), data...), nil},
		{"padded", append(bytes.Clone(simple), make([]byte, 1000)...), data, nil},
		{"padded between", bytes.Join([][]byte{simple, make([]byte, 3), empty}, nil), data, nil},
		{"empty member", empty, nil, nil},
		{"nothing", nil, nil, io.ErrUnexpectedEOF},
		{"trailing garbage", append(bytes.Clone(simple), "garbage garbage"...), data, codec.ErrCorrupt},
		{"not gzip", bytes.Repeat([]byte("x"), 99), nil, codec.ErrCorrupt},
		{"reserved flag", []byte("\x1f\x8b\x08\x20\x00\x00\x00\x00\x00\xff\x03\x00"), nil, codec.ErrCorrupt},
		{"endless name", append([]byte("\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\xff"), bytes.Repeat([]byte("n"), 1<<20)...), nil, codec.ErrCorrupt},
		{"bad header checksum", append(checked[:10:10], 1, 2, 3, 0), nil, codec.ErrCorrupt},
		{"bad checksum", flip(simple, len(simple)-6), data, codec.ErrCorrupt},
		{"bad length", flip(simple, len(simple)-1), data, codec.ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := read(t, tt.stored, gz, nil)
			if !errors.Is(err, tt.err) || !bytes.Equal(got, tt.want) {
				t.Errorf("got %d bytes, %v, want %d, %v", len(got), err, len(tt.want), tt.err)
			}
		})
	}
}

func flip(p []byte, at int) []byte {
	p = bytes.Clone(p)
	p[at] ^= 0x10
	return p
}

// Every cut and every changed byte must be noticed before io.EOF, and never panic.
func TestDamage(t *testing.T) {
	treetest.Sequential(t)
	kr := keyring()
	s := session(t, kr)
	data := sample(600, 2)
	for _, f := range []codec.Format{gz, gpg, gpgStored} {
		stored, _ := write(t, f, codec.WriterOptions{Session: s}, data, 100)
		for n := range len(stored) {
			if _, err := read(t, stored[:n], f, kr); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: cut to %d of %d bytes: %v", f, n, len(stored), err)
			}
			got, err := read(t, flip(stored, n), f, kr)
			if err == nil && !bytes.Equal(got, data) {
				t.Errorf("%s: byte %d changed: no error and %d bytes", f, n, len(got))
			}
			if err == nil && f.Encrypted {
				t.Errorf("%s: byte %d changed: no error", f, n)
			}
		}
	}
}

func TestLimit(t *testing.T) {
	data := sample(1000, 4)
	stored, _ := write(t, gz, codec.WriterOptions{}, data, 1000)
	for limit, want := range map[int64]error{999: codec.ErrTooLong, 1000: nil, 1001: nil} {
		r, err := codec.NewReader(t.Context(), bytes.NewReader(stored), gz, codec.ReaderOptions{Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if !errors.Is(err, want) || int64(len(got)) != min(limit, 1000) {
			t.Errorf("limit %d: got %d bytes, %v", limit, len(got), err)
		}
		r.Close()
	}
}

// Finish reads the source to its end, so that a hash below it is complete.
func TestFinish(t *testing.T) {
	treetest.Sequential(t)
	kr := keyring()
	s := session(t, kr)
	data := sample(2<<20, 6)
	for _, f := range formats {
		stored, _ := write(t, f, codec.WriterOptions{Session: s}, data, 5000)
		src := bytes.NewReader(stored)
		r, err := codec.NewReader(t.Context(), src, f, codec.ReaderOptions{Keyring: kr})
		if err != nil {
			t.Fatal(err)
		}
		head := make([]byte, 512)
		if _, err := io.ReadFull(r, head); err != nil || !bytes.Equal(head, data[:512]) {
			t.Fatalf("%s: read %v", f, err)
		}
		for range 2 {
			if err := r.Finish(); err != nil {
				t.Errorf("%s: finish: %v", f, err)
			}
		}
		if src.Len() > 0 {
			t.Errorf("%s: %d bytes not read", f, src.Len())
		}
		if n, err := r.Read(head); n != 0 || err == nil || err == io.EOF {
			t.Errorf("%s: read after finish gives %d, %v", f, n, err)
		}
	}
}

func TestFinishChecksIntegrity(t *testing.T) {
	treetest.Sequential(t)
	kr := keyring()
	stored, _ := write(t, gpg, codec.WriterOptions{Session: session(t, kr)}, sample(2<<20, 7), 5000)
	r, err := codec.NewReader(t.Context(), bytes.NewReader(flip(stored, len(stored)-1000)), gpg, codec.ReaderOptions{Keyring: kr})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 512)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Finish(); !errors.Is(err, pgp.ErrIntegrity) {
			t.Errorf("finish gives %v", err)
		}
	}
}

func TestFinishAfterEOF(t *testing.T) {
	for _, f := range []codec.Format{gz, plain} {
		stored, _ := write(t, f, codec.WriterOptions{}, []byte("x"), 1)
		r, err := codec.NewReader(t.Context(), bytes.NewReader(stored), f, codec.ReaderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
		if err := r.Finish(); err != nil {
			t.Error(err)
		}
		if _, err := r.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read gives %v", err)
		}
	}
}

func TestFinishAfterClose(t *testing.T) {
	stored, _ := write(t, gz, codec.WriterOptions{}, []byte("x"), 1)
	r, err := codec.NewReader(t.Context(), bytes.NewReader(stored), gz, codec.ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if r.Finish() == nil {
		t.Error("finish says that an unread object is good")
	}
}

// Errors of the source come through as they are, at any place.
func TestSourceErrors(t *testing.T) {
	broken := errors.New("connection reset")
	data := sample(600<<10, 8)
	for _, f := range []codec.Format{gz, plain} {
		stored, _ := write(t, f, codec.WriterOptions{}, data, 5000)
		for _, n := range []int{0, 5, 12, 20, 1000, len(stored) - 4, len(stored)} {
			src := io.MultiReader(bytes.NewReader(stored[:n]), iotest.ErrReader(broken))
			r, err := codec.NewReader(t.Context(), src, f, codec.ReaderOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(r); !errors.Is(err, broken) || errors.Is(err, codec.ErrCorrupt) {
				t.Errorf("%s: source broken at %d: %v", f, n, err)
			}
			if err := r.Finish(); !errors.Is(err, broken) {
				t.Errorf("%s: source broken at %d: finish: %v", f, n, err)
			}
		}
	}
}

func TestFixtureVolumes(t *testing.T) {
	treetest.Sequential(t)
	names, err := filepath.Glob(filepath.Join(treetest.Fixtures(t), "*", "repo", "*.gz"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no .gz fixtures: %v", err)
	}
	for _, name := range names {
		stored, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, wantErr := gunzipStd(stored)
		for _, small := range []bool{false, true} {
			got, err := readWith(t, stored, gz, codec.ReaderOptions{Small: small})
			if (err == nil) != (wantErr == nil) || !bytes.HasPrefix(got, want) {
				t.Errorf("%s, small %v: got %d bytes, %v, want %d, %v", name, small, len(got), err, len(want), wantErr)
			}
		}
	}
}

func gunzipStd(stored []byte) ([]byte, error) {
	z, err := stdgzip.NewReader(bytes.NewReader(stored))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, 64<<20))
}

func TestFormatString(t *testing.T) {
	seen := make(map[string]codec.Format)
	for _, f := range []codec.Format{gz, gpg, gpgStored, plain} {
		if g, ok := seen[f.String()]; ok {
			t.Errorf("%q is told of %#v and of %#v", f, f, g)
		}
		seen[f.String()] = f
	}
}

func FuzzReader(f *testing.F) {
	f.Add(gzipped(f, []byte("hello"), stdgzip.Header{Name: "x"}))
	stored, _ := write(f, gz, codec.WriterOptions{}, sample(1000, 1), 100)
	f.Add(stored)
	if names, _ := filepath.Glob("../../../shared/fixtures/no-change*/repo/*.gz"); len(names) > 0 {
		for _, name := range names {
			if p, err := os.ReadFile(name); err == nil {
				f.Add(p)
			}
		}
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		want, wantErr := gunzipStd(stored)
		r, err := codec.NewReader(t.Context(), bytes.NewReader(stored), gz, codec.ReaderOptions{Limit: 64 << 20})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		// compress/gzip overlooks reserved flags, which RFC 1952 §2.3.1.2 wants refused.
		reserved := err != nil && strings.Contains(err.Error(), "not gzip")
		if wantErr == nil && !reserved && (err != nil || !bytes.Equal(got, want)) && !errors.Is(err, codec.ErrTooLong) {
			t.Errorf("got %d bytes, %v; compress/gzip reads %d", len(got), err, len(want))
		}
		// compress/gzip takes a few zeros behind the last member for a cut header.
		for p := stored; wantErr == io.ErrUnexpectedEOF && bytes.HasSuffix(p, []byte{0}); {
			p = p[:len(p)-1]
			if _, e := gunzipStd(p); e == nil {
				wantErr = nil
			}
		}
		if err == nil && wantErr != nil && !errors.Is(wantErr, stdgzip.ErrHeader) {
			t.Errorf("read %d bytes where compress/gzip says %v", len(got), wantErr)
		}
	})
}
