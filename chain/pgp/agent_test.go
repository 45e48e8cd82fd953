package pgp_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

// wrapGPG is a gpg that runs shell lines first, in a folder of its own.
func wrapGPG(t *testing.T, lines string) (program, dir string) {
	dir = t.TempDir()
	program = filepath.Join(dir, "gpg")
	script := fmt.Sprintf("#!/bin/sh\ncd %q || exit 9\n%s\nexec gpg \"$@\"\n", dir, lines)
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return program, dir
}

// refusals is how often the program said to have no secret key, by lines of noKey.
func refusals(t *testing.T, dir string) int {
	b, err := os.ReadFile(filepath.Join(dir, "count"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// noKey are lines that answer as gpg does when its agent cannot work, n times.
func noKey(n int) string {
	return fmt.Sprintf(`n=$(cat count 2>/dev/null || echo 0)
if [ "$n" -lt %d ]; then
	echo $((n + 1)) >count
	cat >/dev/null
	echo "[GNUPG:] NO_SECKEY 0000000000000000"
	exit 2
fi`, n)
}

// An agent that fails for a moment fails nothing, one that has no key is not asked
// without end.
func TestAskAgain(t *testing.T) {
	treetest.Sequential(t)
	h, k := newHomeWithKeys(t)
	data := sample(1000, 1)
	msg := h.gpg(data, "-R", k.ecc, "--encrypt")
	for _, c := range []struct{ fails, asked int }{{1, 1}, {2, 2}, {100, 3}} {
		program, dir := wrapGPG(t, noKey(c.fails))
		got, err := open(h.keyring(pgp.Options{GPG: program}), msg, pgp.ReaderOptions{})
		if c.fails <= 2 {
			if err != nil {
				t.Fatalf("after %d failures: %v", c.fails, err)
			}
			same(t, got, data)
		} else {
			wantErr(t, err, pgp.ErrNoSecretKey)
		}
		if n := refusals(t, dir); n != c.asked {
			t.Errorf("%d failures: gpg said so %d times, want %d", c.fails, n, c.asked)
		}
	}
}

// Messages without a key do not each take their time.
func TestAskAgainBounded(t *testing.T) {
	treetest.Sequential(t)
	h, k := newHomeWithKeys(t)
	program, dir := wrapGPG(t, noKey(1000))
	kr := h.keyring(pgp.Options{GPG: program})
	const messages = 8
	for range messages {
		_, err := open(kr, h.gpg([]byte("text"), "-r", k.ecc, "--encrypt"), pgp.ReaderOptions{})
		wantErr(t, err, pgp.ErrNoSecretKey)
	}
	if n := refusals(t, dir); n != messages+4 {
		t.Errorf("gpg was asked %d times for %d messages, want %d", n, messages, messages+4)
	}
}

// Of many messages opened at once only a few are with gpg and its agent.
func TestGPGAtOnce(t *testing.T) {
	h, k := newHomeWithKeys(t)
	program, dir := wrapGPG(t, `mkdir run.$$; ls -d run.* | wc -l >seen.$$; sleep 0.05; rmdir run.$$`)
	kr := h.keyring(pgp.Options{GPG: program})
	data := sample(1000, 1)
	var messages [24][]byte // made first, so that all are opened at once
	for i := range messages {
		messages[i] = h.gpg(data, "-R", k.ecc, "--encrypt")
	}
	var wg sync.WaitGroup
	for _, msg := range messages {
		wg.Go(func() {
			got, err := open(kr, msg, pgp.ReaderOptions{})
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	names, err := filepath.Glob(filepath.Join(dir, "seen.*"))
	if err != nil || len(names) != len(messages) {
		t.Fatalf("%d runs of gpg, %v", len(names), err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err != nil || n < 1 || n > 4 {
			t.Errorf("%d runs of gpg at once, %v", n, err)
		}
	}
}

// Whoever gave a wrong passphrase for the key of a hidden recipient is told of both
// reasons: gpg does not tell them apart.
func TestHiddenWrongPassphrase(t *testing.T) {
	treetest.Sequential(t)
	h, k := newHomeWithKeys(t)
	msg := h.gpg([]byte("text"), "-R", k.ecc, "--encrypt")
	_, err := open(h.keyring(pgp.Options{Passphrase: pgp.Passphrase([]byte("wrong"))}), msg, pgp.ReaderOptions{})
	wantErr(t, err, pgp.ErrNoSecretKey)
	if !strings.Contains(err.Error(), "or a wrong passphrase for it") {
		t.Error(err)
	}
}
