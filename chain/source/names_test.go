package source_test

import (
	"encoding/binary"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain/source"
)

// dirent is one struct linux_dirent64.
func dirent(name string) []byte {
	n := (19 + len(name) + 1 + 7) &^ 7
	b := make([]byte, n)
	binary.NativeEndian.PutUint16(b[16:], uint16(n))
	copy(b[19:], name)
	return b
}

func TestNames(t *testing.T) {
	in := []string{"b", ".", "a", "..", "a-longer-name", "a-longer-namf", "a-longer-nam", "\xff", "b", "a-longer-name", strings.Repeat("x", 255), "a\x01"}
	var raw []byte
	for _, name := range in {
		raw = append(raw, dirent(name)...)
	}
	got, err := source.Names(raw)
	must(t, err)
	want := []string{"a", "a\x01", "a-longer-nam", "a-longer-name", "a-longer-namf", "b", strings.Repeat("x", 255), "\xff"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	raw = nil
	for _, name := range []string{"IMG_2", "IMG_", "IMG_123456789", "IMG_12345678", "IMG_12345679", "IMG_2"} {
		raw = append(raw, dirent(name)...)
	}
	got, err = source.Names(raw)
	must(t, err)
	if want := []string{"IMG_", "IMG_12345678", "IMG_123456789", "IMG_12345679", "IMG_2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, bad := range [][]byte{dirent("a/b"), dirent(""), dirent("abc")[:20], make([]byte, 40), {1}} {
		if got, err := source.Names(bad); err == nil {
			t.Errorf("%q was read as %q", bad, got)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add(append(dirent("a"), dirent("b")...))
	f.Add(dirent("a/b"))
	f.Add(dirent(strings.Repeat("n", 255))[:100])
	if fd, err := unix.Open(".", unix.O_DIRECTORY, 0); err == nil {
		buf := make([]byte, 4096)
		if n, err := unix.Getdents(fd, buf); err == nil {
			f.Add(buf[:n])
		}
		_ = os.NewFile(uintptr(fd), ".").Close()
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		names, _ := source.Names(raw)
		if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
			t.Errorf("not sorted or with doubles: %q", names)
		}
		var again []byte
		for _, name := range names {
			if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
				t.Errorf("bad name %q", name)
			}
			again = append(again, dirent(name)...)
		}
		if back, err := source.Names(again); err != nil || !slices.Equal(back, names) {
			t.Errorf("%q came back as %q, %v", names, back, err)
		}
	})
}
