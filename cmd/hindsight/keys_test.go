package main

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
