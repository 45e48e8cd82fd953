package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/manifest"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/selection"
	"hindsight/chain/store"
	"hindsight/chain/treetest"
)

func TestJudge(t *testing.T) {
	storeError := func(kind error) error { return &store.Error{Op: "get", Name: "x", Kind: kind} }
	tests := []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{usagef("x"), 2},
		{&naming.TimeError{Arg: "x"}, 2},
		{backup.ErrHostMismatch, 3},
		{backup.ErrDirMismatch, 42},
		{&selection.Error{Code: selection.CodeGlob}, 15},
		{chain.ErrNoSignatures, 17},
		{chain.ErrNoChain, 20},
		{&chain.CorruptError{Object: "x", Err: chain.ErrHash}, 21},
		{errors.Join(pgp.ErrIntegrity, &chain.CorruptError{Object: "x", Err: chain.ErrHash}), 21},
		{chain.ErrMissingVolume, 1},
		{pgp.ErrSignature, 22},
		{failf(exitLocked, "x"), 23},
		{backup.ErrRaced, 23},
		{fmt.Errorf("x: %w", manifest.ErrTooLarge), 1},
		{pgp.ErrNoPassphrase, 31},
		{pgp.ErrWrongPassphrase, 31},
		{pgp.ErrIntegrity, 31},
		{pgp.ErrNoKey, 31},
		{storeError(nil), 50},
		{storeError(store.ErrExist), 23},
		{storeError(store.ErrPermission), 51},
		{storeError(store.ErrNotExist), 52},
		{storeError(store.ErrNoSpace), 53},
		{context.Canceled, 1},
		{errQuiet(1), 1},
	}
	for _, tt := range tests {
		if got, _ := judge(tt.err); got != tt.want {
			t.Errorf("exit code of %v is %d, want %d", tt.err, got, tt.want)
		}
		if tt.err == nil {
			continue
		}
		if got, _ := judge(fmt.Errorf("outer: %w", tt.err)); got != tt.want {
			t.Errorf("exit code of %v, wrapped, is %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestInterrupted(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	src, repo := t.TempDir(), t.TempDir()
	var stderr strings.Builder
	w.env.Stdout, w.env.Stderr = &stderr, &stderr
	if code := run(ctx, w.env, []string{"full", "--no-encryption", src, repo}); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	want := "hindsight: interrupted; what was begun is ignored by every reader and removed by cleanup"
	if line := onlyLine(t, stderr.String()); line != want {
		t.Errorf("said %q, want %q", line, want)
	}
}

// stopAt is a standard error that stops the run when it says something.
type stopAt struct {
	strings.Builder
	text string
	stop context.CancelFunc
}

func (s *stopAt) Write(p []byte) (int, error) {
	if strings.Contains(string(p), s.text) {
		s.stop()
	}
	return s.Builder.Write(p)
}

// TestInterruptedRestore makes sure that an interrupted restore says how to go on, and
// that it goes on so.
func TestInterruptedRestore(t *testing.T) {
	w := newWorld(t)
	src, repo, out := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "out")
	treetest.Write(t, src, treetest.File("a", "alpha"))
	w.run(t, "full", "--no-encryption", src, repo).exit(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	stderr := &stopAt{text: "Restoring the state", stop: cancel}
	env := w.env
	env.Stdout, env.Stderr = io.Discard, stderr
	if code := run(ctx, env, []string{"restore", repo, out}); code != exitFailure {
		t.Errorf("exit code %d, want %d", code, exitFailure)
	}
	if want := "hindsight: interrupted; restore --in-place goes on with it\n"; !strings.HasSuffix(stderr.String(), want) {
		t.Errorf("said %q, want %q at the end", stderr.String(), want)
	}
	w.run(t, "restore", "--in-place", repo, out).exit(t, 0)
	if got, err := os.ReadFile(filepath.Join(out, "a")); string(got) != "alpha" {
		t.Errorf("restored %q, %v", got, err)
	}
}

// TestDoctorReadOnly tries out a directory that nothing can be put into: that is said
// once, and it is no further failure that nothing can be read back.
func TestDoctorReadOnly(t *testing.T) {
	treetest.NeedRoot(t)
	w, repo := newWorld(t), t.TempDir()
	if err := unix.Mount("tmpfs", repo, "tmpfs", unix.MS_RDONLY, ""); err != nil {
		treetest.Missing(t, "no tmpfs: "+err.Error())
	}
	t.Cleanup(func() {
		if err := unix.Unmount(repo, 0); err != nil {
			t.Error(err)
		}
	})
	out := w.run(t, "doctor", repo).exit(t, exitPermission).stdout
	for name, want := range map[string]string{"list": "ok", "put": "failed", "get": "skipped", "delete": "skipped"} {
		if !regexp.MustCompile(`(?m)^store +` + name + ` +` + want).MatchString(out) {
			t.Errorf("%s is not %s in:\n%s", name, want, out)
		}
	}
}

// TestLock makes sure that a second backup, or a cleanup that deletes, fails at once
// while one is running, and that readers do not care.
func TestLock(t *testing.T) {
	w := newWorld(t)
	src, repo := t.TempDir(), t.TempDir()
	w.run(t, "full", "--no-encryption", src, repo).exit(t, 0)
	j := &job{env: w.env, opt: new(common), console: &console{}}
	cache, err := j.cacheDir(place{dir: repo})
	if err != nil {
		t.Fatal(err)
	}
	release, err := lock(cache)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"backup", "--no-encryption", src, repo}, {"cleanup", "--force", repo}} {
		line := onlyLine(t, w.run(t, args...).exit(t, exitLocked).stderr)
		if !strings.Contains(line, "another run holds "+cache) {
			t.Errorf("%s: said %q", args[0], line)
		}
	}
	for _, args := range [][]string{{"list", repo}, {"status", repo}, {"cleanup", repo}, {"restore", repo, t.TempDir()}} {
		w.run(t, args...).exit(t, 0)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	w.run(t, "cleanup", "--force", repo).exit(t, 0)
}

// TestReadOnlyCache makes sure that reading does not need a cache.
func TestReadOnlyCache(t *testing.T) {
	w := newWorld(t)
	src, repo := t.TempDir(), t.TempDir()
	w.run(t, "full", "--no-encryption", src, repo).exit(t, 0)
	w.run(t, "list", "--cache-dir", "/dev/null", repo).exit(t, 0)
	w.run(t, "backup", "--no-encryption", "--cache-dir", "/dev/null", src, repo).exit(t, exitFailure)
}

// TestAdvice makes sure that errors keep their exit code and say what to do where
// they arose.
func TestAdvice(t *testing.T) {
	const manifest = "duplicity-full.20231114T221320Z.manifest"
	j := &job{opt: new(common)}
	repo := &repository{place: place{dir: "/srv/store"}}
	restore := func(err error) error { return (&restoreOptions{}).explain(j, "out", err) }
	tests := []struct {
		err        error
		code       int
		text, hint string
	}{
		{explainBackup(repo, pgp.ErrNoSecretKey), 31, "", "or start a new chain with hindsight full"},
		{explainBackup(repo, pgp.ErrWrongPassphrase), 31, "", "or start a new chain with hindsight full"},
		{explainBackup(repo, &chain.CorruptError{Object: "x", Err: io.ErrUnexpectedEOF}), 1, "", "hindsight full starts a new chain"},
		{explainBackup(repo, &store.Error{Op: "put", Kind: store.ErrNoSpace}), 53, "store /srv/store: put", "make room"},
		{explainBackup(repo, fmt.Errorf("local archive: %w", &store.Error{Op: "put", Kind: store.ErrNoSpace})), 53, "local archive: put", "make room"},
		{restore(&chain.CorruptError{Object: manifest, Err: io.ErrUnexpectedEOF}), 1, manifest, "an earlier --time"},
		{restore(&chain.CorruptError{Object: manifest, Err: pgp.ErrNoPassphrase}), 31, manifest, "set PASSPHRASE"},
		{restore(fmt.Errorf("%q: %w", "a", unix.ENOSPC)), 1, `target out: "a": no space`, "make room"},
	}
	for _, tt := range tests {
		code, hint := judge(tt.err)
		if code != tt.code || !strings.HasPrefix(tt.err.Error(), tt.text) || !strings.Contains(hint, tt.hint) {
			t.Errorf("%v: code %d, want %d; advice %q, want %q", tt.err, code, tt.code, hint, tt.hint)
		}
	}
}
