package treetest

import (
	"fmt"
	"testing"

	"hindsight/chain/difftar"
)

// Options says what Diff leaves out of a comparison. The zero value compares what
// the golden repositories compare: all but the modes and times of symlinks and
// fractions of seconds.
type Options struct {
	// WithoutSockets lets sockets of the wanted tree be absent: duplicity skips
	// them (duplicity-format.md §3.2).
	WithoutSockets bool
	// EpochTimes wants 0 where the wanted time lies before 1970, as duplicity
	// stores it (duplicity-format.md §3.2).
	EpochTimes bool
	// WithoutOwners leaves out uid and gid, as a restore by another user than
	// root has to.
	WithoutOwners bool
	// WithoutLinkOwners leaves out uid and gid of symlinks: duplicity does not
	// notice when only they change (duplicity-format.md §4.2).
	WithoutLinkOwners bool
	// WithoutTimes leaves out modification times.
	WithoutTimes bool
	// Nanoseconds compares fractions of seconds too.
	Nanoseconds bool
}

// AsDuplicity are the options for a tree that went through duplicity's format:
// no sockets, no times before 1970, owners of symlinks as they first were.
func AsDuplicity() Options {
	return Options{WithoutSockets: true, EpochTimes: true, WithoutLinkOwners: true}
}

// Diff returns a line for each difference between two trees, in the order of
// paths; nil if there is none.
func Diff(got, want Tree, opts Options) []string {
	var lines []string
	for len(got) > 0 || len(want) > 0 {
		switch order := head(got, want); {
		case order < 0:
			lines = append(lines, fmt.Sprintf("%q: unexpected %s", got[0].Path, got[0].Type))
			got = got[1:]
		case order > 0:
			if want[0].Type != TypeSocket || !opts.WithoutSockets {
				lines = append(lines, fmt.Sprintf("%q: missing %s", want[0].Path, want[0].Type))
			}
			want = want[1:]
		default:
			lines = appendDiff(lines, got[0], want[0], opts)
			got, want = got[1:], want[1:]
		}
	}
	return lines
}

// head compares the first paths; an empty tree comes after all paths.
func head(got, want Tree) int {
	switch {
	case len(got) == 0:
		return 1
	case len(want) == 0:
		return -1
	}
	return difftar.Compare(got[0].Path, want[0].Path)
}

// appendDiff compares two entries of one path. Of different types nothing else is
// worth comparing.
func appendDiff(lines []string, got, want Entry, opts Options) []string {
	add := func(field, format string, g, w any) {
		lines = append(lines, fmt.Sprintf("%q: %s "+format+", want "+format, got.Path, field, g, w))
	}
	if got.Type != want.Type {
		add("type", "%s", got.Type, want.Type)
		return lines
	}
	link := got.Type == TypeSymlink
	if !link && got.Mode != want.Mode {
		add("mode", "%04o", got.Mode, want.Mode)
	}
	if !opts.WithoutOwners && !(link && opts.WithoutLinkOwners) {
		if got.UID != want.UID {
			add("uid", "%d", got.UID, want.UID)
		}
		if got.GID != want.GID {
			add("gid", "%d", got.GID, want.GID)
		}
	}
	if !link && !opts.WithoutTimes {
		lines = appendTimeDiff(lines, got, want, opts)
	}
	switch got.Type {
	case TypeFile:
		if got.Size != want.Size {
			add("size", "%d", got.Size, want.Size)
		} else if got.SHA256 != want.SHA256 {
			add("content", "%x", got.SHA256[:4], want.SHA256[:4])
		}
	case TypeSymlink:
		if got.Target != want.Target {
			add("target", "%q", got.Target, want.Target)
		}
	case TypeChar, TypeBlock:
		if got.Major != want.Major || got.Minor != want.Minor {
			add("device", "%d", [2]uint32{got.Major, got.Minor}, [2]uint32{want.Major, want.Minor})
		}
	}
	return lines
}

func appendTimeDiff(lines []string, got, want Entry, opts Options) []string {
	if opts.EpochTimes && want.MTime < 0 {
		want.MTime, want.MTimeNanos = 0, 0
	}
	switch {
	case got.MTime != want.MTime:
		lines = append(lines, fmt.Sprintf("%q: mtime %d, want %d", got.Path, got.MTime, want.MTime))
	case opts.Nanoseconds && got.MTimeNanos != want.MTimeNanos:
		lines = append(lines, fmt.Sprintf("%q: mtime %d.%09d, want %d.%09d",
			got.Path, got.MTime, got.MTimeNanos, want.MTime, want.MTimeNanos))
	}
	return lines
}

// maxShown bounds the differences that Equal prints: a wholly wrong tree would
// bury its cause.
const maxShown = 20

// Equal reports the differences between two trees as one error of the test, and
// whether there was none.
func Equal(t testing.TB, got, want Tree, opts Options) bool {
	t.Helper()
	lines := Diff(got, want, opts)
	if len(lines) == 0 {
		return true
	}
	text := ""
	for _, line := range lines[:min(maxShown, len(lines))] {
		text += "\n\t" + line
	}
	if len(lines) > maxShown {
		text += fmt.Sprintf("\n\tand %d more", len(lines)-maxShown)
	}
	t.Errorf("trees differ:%s", text)
	return false
}
