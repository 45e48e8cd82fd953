package pgp_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"hindsight/chain/pgp"
)

func TestPassphraseIsAskedOnce(t *testing.T) {
	var asked atomic.Int32
	kr := pgp.NewKeyring(pgp.Options{S2KCount: weakCount, Passphrase: func() ([]byte, error) {
		asked.Add(1)
		return []byte(passphrase), nil
	}})
	msg := seal(t, session(t, kr, pgp.Recipients{Symmetric: true}), []byte("text"), 10, true)
	for range 3 {
		if _, err := open(kr, msg, pgp.ReaderOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestPassphraseError(t *testing.T) {
	denied := errors.New("read passphrase file: permission denied")
	kr := pgp.NewKeyring(pgp.Options{Passphrase: func() ([]byte, error) { return nil, denied }})
	msg := seal(t, session(t, symmetric(passphrase), pgp.Recipients{Symmetric: true}), []byte("text"), 10, true)
	_, err := open(kr, msg, pgp.ReaderOptions{})
	wantErr(t, err, denied)
	_, err = kr.NewSession(t.Context(), pgp.Recipients{Symmetric: true}, pgp.SessionOptions{})
	wantErr(t, err, denied)
}

// The signing key may have a passphrase of its own; the other is no use to it.
func TestSignPassphrase(t *testing.T) {
	k := keys(t)
	kr := pgp.NewKeyring(pgp.Options{
		Passphrase:     pgp.Passphrase([]byte("for the data")),
		SignPassphrase: pgp.Passphrase([]byte(passphrase)),
		KeyFiles:       []string{keyFile}, GPG: "/no/gpg", S2KCount: weakCount,
	})
	s := session(t, kr, pgp.Recipients{Symmetric: true, SignKey: k.sign})
	if !s.Signed() {
		t.Error("session is not signed")
	}
	msg := seal(t, s, []byte("text"), 10, true)
	if _, err := open(kr, msg, pgp.ReaderOptions{SignKey: k.sign}); err != nil {
		t.Fatal(err)
	}
}

func TestKeyFileErrors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	files := map[string]string{
		"missing": filepath.Join(dir, "missing"),
		"empty":   write("empty", ""),
		"text":    write("text", "no key here\n"),
		"binary":  write("binary", "\x99\xFF\xFFtoo short"),
	}
	for name, file := range files {
		_, err := withFile(passphrase, file).NewSession(t.Context(), pgp.Recipients{Keys: []string{keys(t).rsa}}, pgp.SessionOptions{})
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want one that names the file", name, err)
		}
	}
}

// Two keys under one short id are a question for the user.
func TestAmbiguousKey(t *testing.T) {
	kr := withFile(passphrase, keyFile, keyFile)
	_, err := kr.NewSession(t.Context(), pgp.Recipients{Keys: []string{keys(t).rsa}}, pgp.SessionOptions{})
	wantErr(t, err, pgp.ErrNoKey)
}

func TestCancelledContext(t *testing.T) {
	h, k := newHomeWithKeys(t)
	msg := seal(t, session(t, withFile(passphrase, keyFile), pgp.Recipients{Keys: []string{k.rsa}}), []byte("text"), 10, true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	kr := h.keyring(pgp.Options{})
	_, err := pgp.NewReader(ctx, strings.NewReader(string(msg)), kr, pgp.ReaderOptions{})
	wantErr(t, err, context.Canceled)
	_, err = kr.NewSession(ctx, pgp.Recipients{Keys: []string{k.rsa}}, pgp.SessionOptions{})
	wantErr(t, err, context.Canceled)
	if _, err := open(kr, msg, pgp.ReaderOptions{}); err != nil {
		t.Errorf("after a cancelled try: %v", err)
	}
}

// A Signer given up leaves no gpg behind, and the next one works.
func TestSignerAbort(t *testing.T) {
	h, k := newHomeWithKeys(t)
	kr := h.keyring(pgp.Options{})
	s := session(t, kr, pgp.Recipients{Keys: []string{k.rsa}, SignKey: k.sub})
	signer, err := s.NewSigner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(signer, "begun"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := signer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	msg := seal(t, s, sample(1000, 16), 1<<20, true)
	if _, err := open(kr, msg, pgp.ReaderOptions{SignKey: k.sub}); err != nil {
		t.Fatal(err)
	}
}

// failAfter fails once n bytes were written.
type failAfter struct {
	n   int
	err error
}

func (w *failAfter) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, w.err
	}
	return len(p), nil
}

func TestWriteErrorSticks(t *testing.T) {
	s := session(t, symmetric(passphrase), pgp.Recipients{Symmetric: true})
	full := errors.New("no space left")
	for _, n := range []int{0, 100, 70 << 10, 200 << 10} {
		err := sealTo(t.Context(), &failAfter{n, full}, s, sample(200<<10, 17), 1<<20, false)
		wantErr(t, err, full)
	}
	w, err := s.NewWriter(&failAfter{100, full}, pgp.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write(make([]byte, 1<<20))
	wantErr(t, err, full)
	_, err = w.Write([]byte("more"))
	wantErr(t, err, full)
	wantErr(t, w.Close(), full)
}
