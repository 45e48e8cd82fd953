package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"

	"hindsight/chain/pgp"
)

// maxPassphrase is the length in bytes of the longest passphrase file that is read.
const maxPassphrase = 64 << 10

// keyring makes the keys of the options. confirm says that a passphrase that is typed
// in is for a new backup, where a slip of the finger would lose everything.
func (j *job) keyring(confirm bool) *pgp.Keyring {
	return pgp.NewKeyring(pgp.Options{
		Passphrase:     func() ([]byte, error) { return j.passphrase(confirm) },
		SignPassphrase: func() ([]byte, error) { return []byte(j.env.get("SIGN_PASSPHRASE")), nil },
		KeyFiles:       j.opt.keyFiles,
		GnuPGHome:      j.opt.gnupgHome,
		GPG:            j.opt.gpg,
		UseAgent:       j.opt.useAgent,
		Now:            j.env.Now,
	})
}

// passphraseGiven reports whether there is a passphrase without asking.
func (j *job) passphraseGiven() bool {
	return j.opt.passphraseFile != "" || j.env.get("PASSPHRASE") != "" || j.signPassphrase() != ""
}

// signPassphrase is SIGN_PASSPHRASE where it stands in for PASSPHRASE, since one key
// signs and decrypts (duplicity-format.md §9).
func (j *job) signPassphrase() string {
	if slices.Contains(j.opt.encryptKeys, j.opt.signKey) {
		return j.env.get("SIGN_PASSPHRASE")
	}
	return ""
}

func (j *job) passphrase(confirm bool) ([]byte, error) {
	if j.opt.passphraseFile != "" {
		return readPassphrase(j.opt.passphraseFile)
	}
	for _, given := range []string{j.env.get("PASSPHRASE"), j.signPassphrase()} {
		if given != "" {
			return []byte(given), nil
		}
	}
	if j.env.Prompt == nil || j.opt.json || j.opt.useAgent {
		return nil, nil
	}
	first, err := j.env.Prompt("Passphrase: ")
	if err != nil || !confirm || len(first) == 0 {
		return first, err
	}
	again, err := j.env.Prompt("Passphrase again: ")
	if err == nil && !bytes.Equal(first, again) {
		err = failf(exitUsage, "the two passphrases differ")
	}
	return first, err
}

// readPassphrase reads a file whose first line is a passphrase.
func readPassphrase(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, failf(exitUsage, "--passphrase-file: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxPassphrase))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, failf(exitUsage, "--passphrase-file: %w", err)
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return nil, failf(exitUsage, "--passphrase-file: the first line of %s is empty", name)
	}
	return line, nil
}
