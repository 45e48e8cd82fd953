package main

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hindsight/chain/treetest"
)

// typist answers prompts.
func (w *world) typist(answers ...string) *[]string {
	asked := &[]string{}
	w.env.Prompt = func(label string) ([]byte, error) {
		*asked = append(*asked, label)
		if len(answers) == 0 {
			return nil, errors.New("end of input")
		}
		answer := answers[0]
		answers = answers[1:]
		return []byte(answer), nil
	}
	return asked
}

// TestPrompt types passphrases: twice for a new backup, once to read.
func TestPrompt(t *testing.T) {
	w := newWorld(t)
	src, repo := t.TempDir(), filepath.Join(t.TempDir(), "repo")
	asked := w.typist("one", "other")
	line := onlyLine(t, w.run(t, "full", src, repo).exit(t, exitUsage).stderr)
	if !strings.Contains(line, "the two passphrases differ") || len(*asked) != 2 {
		t.Errorf("asked %q, said %q", *asked, line)
	}
	w.typist("")
	w.run(t, "full", src, repo).exit(t, exitUsage)
	w.typist("one", "one")
	w.run(t, "full", src, repo).exit(t, 0)
	asked = w.typist("one")
	w.run(t, "restore", repo, t.TempDir()).exit(t, 0)
	if want := []string{"Passphrase: "}; !slices.Equal(*asked, want) {
		t.Errorf("asked %q, want %q", *asked, want)
	}
	asked = w.typist("one")
	w.run(t, "restore", "--json", repo, t.TempDir()).exit(t, exitDecrypt)
	w.run(t, "status", repo).exit(t, 0)
	if len(*asked) > 0 {
		t.Errorf("asked %q although nobody should be", *asked)
	}
}

// TestSecretsStayIn makes sure that no passphrase is ever said, however much is.
func TestSecretsStayIn(t *testing.T) {
	const secret = "swordfish-4711"
	w := newWorld(t)
	src, repo := t.TempDir(), filepath.Join(t.TempDir(), "repo")
	w.vars["PASSPHRASE"] = secret
	said := w.run(t, "full", "-v9", src, repo).exit(t, 0)
	w.vars["PASSPHRASE"] = secret + "-wrong"
	wrong := w.run(t, "restore", "-v9", repo, t.TempDir()).exit(t, exitDecrypt)
	for _, r := range []result{said, wrong} {
		if strings.Contains(r.stdout+r.stderr, secret) {
			t.Errorf("the passphrase is in the output:\n%s%s", r.stdout, r.stderr)
		}
	}
}

// TestSigningPassphrase: what is missing for the signing key is asked for by its own
// name, and a mistake about keys makes no store.
func TestSigningPassphrase(t *testing.T) {
	c, w := treetest.LoadCase(t, "gpg-pubkey-sign"), newWorld(t)
	key := slices.Collect(maps.Values(c.Keys))[0]
	src, repo := t.TempDir(), filepath.Join(t.TempDir(), "repo")
	args := []string{"full", "--encrypt-key", key.Fingerprint, "--sign-key", key.Fingerprint, "--key-file", key.Secret, src, repo}
	w.vars["PASSPHRASE"] = "certainly-not"
	line := onlyLine(t, w.run(t, args...).exit(t, exitDecrypt).stderr)
	if !strings.HasPrefix(line, "hindsight: signing key: ") || !strings.Contains(line, "; set SIGN_PASSPHRASE") {
		t.Errorf("said %q", line)
	}
	if exists(repo) {
		t.Error("there is a store")
	}
}
