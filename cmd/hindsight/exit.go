package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/manifest"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/selection"
	"hindsight/chain/store"
	"hindsight/s3store"
)

// Exit codes, duplicity's where it has one (duplicity-format.md §6.1).
const (
	exitFailure     = 1 // or differences
	exitUsage       = 2
	exitHost        = 3
	exitFilelist    = 7
	exitNotEmpty    = 11
	exitNoTree      = 12
	exitNoSource    = 13
	exitSignatures  = 17
	exitNoPath      = 19
	exitNothing     = 20
	exitHash        = 21
	exitSignature   = 22
	exitLocked      = 23
	exitDecrypt     = 31
	exitDir         = 42
	exitStore       = 50
	exitPermission  = 51
	exitStoreAbsent = 52
	exitNoSpace     = 53
)

// usageError says that the command line is wrong.
type usageError struct {
	command string // whose help to look at; "": that of the command that ran
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

// codeError is an error whose exit code is known where it arises.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string { return e.err.Error() }
func (e *codeError) Unwrap() error { return e.err }

func failf(code int, format string, args ...any) error {
	return &codeError{code: code, err: fmt.Errorf(format, args...)}
}

// advisedError is an error with what can be done about it where it arose.
type advisedError struct {
	err  error
	hint string
}

func (e *advisedError) Error() string { return e.err.Error() }
func (e *advisedError) Unwrap() error { return e.err }

func advise(err error, hint string) error { return &advisedError{err, hint} }

// errQuiet ends a run with an exit code when all has been said.
type errQuiet int

func (e errQuiet) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exitTable gives every kind of error its exit code and what can be done about it.
// The first that fits counts: a wrong hash explains what else is wrong.
var exitTable = []struct {
	target error
	code   int
	hint   string
}{
	{chain.ErrHash, exitHash, "the volume is damaged; restore --ignore-errors saves what it can"},
	{chain.ErrMissingVolume, exitFailure, "restore --ignore-errors saves what it can"},
	{chain.ErrRemoved, exitFailure, "run this one again, and cleanup on no machine while a backup is made"},
	{manifest.ErrTooLarge, exitFailure, "give more --memory: four times as much as its volumes take, which is some 250 bytes each"},
	{pgp.ErrSignature, exitSignature, "who wrote it is not who holds the key of --sign-key"},
	{pgp.ErrNoPassphrase, exitDecrypt, "set PASSPHRASE or give --passphrase-file"},
	{pgp.ErrWrongPassphrase, exitDecrypt, "check PASSPHRASE or --passphrase-file"},
	{pgp.ErrNoSecretKey, exitDecrypt, "give --key-file or --gpg-homedir"},
	{pgp.ErrNoKey, exitDecrypt, "check --encrypt-key and --sign-key, and give --key-file or --gpg-homedir"},
	{pgp.ErrDecrypt, exitDecrypt, ""},
	{backup.ErrHostMismatch, exitHost, ""},
	{backup.ErrDirMismatch, exitDir, ""},
	{backup.ErrRaced, exitLocked, "run this one again"},
	{chain.ErrNoSignatures, exitSignatures, "make a full backup"},
	{chain.ErrNoChain, exitNothing, "check the URL and the --file-prefix options"},
	{s3store.ErrConfig, exitUsage, ""},
	{store.ErrExist, exitLocked, "another backup is being made to the same place; run this one again when it has ended"},
	{store.ErrPermission, exitPermission, "check who may read and write there"},
	{store.ErrArchived, exitStore, "restore --thaw asks for what it needs and waits until it is there"},
	{store.ErrNotExist, exitStoreAbsent, "check the URL"},
	{store.ErrNoSpace, exitNoSpace, "make room and run again"},
	{unix.ENOSPC, exitFailure, "make room and run again"},
}

// judge finds the exit code of an error and what to do about it.
func judge(err error) (code int, hint string) {
	var (
		quiet   errQuiet
		coded   *codeError
		usage   *usageError
		rule    *selection.Error
		when    *naming.TimeError
		storage *store.Error
	)
	switch {
	case err == nil:
		return 0, ""
	case errors.As(err, &quiet):
		return int(quiet), ""
	case errors.As(err, &coded):
		return coded.code, ""
	case errors.As(err, &rule):
		return rule.Code, ""
	case errors.As(err, &usage), errors.As(err, &when):
		return exitUsage, ""
	case errors.Is(err, context.Canceled):
		return exitFailure, ""
	}
	var advised *advisedError
	if errors.As(err, &advised) {
		code, _ = judge(advised.err)
		return code, advised.hint
	}
	var hinted interface{ Hint() string } // the store knows more of its errors
	for _, row := range exitTable {
		if !errors.Is(err, row.target) {
			continue
		}
		if errors.As(err, &hinted) && hinted.Hint() != "" {
			return row.code, hinted.Hint()
		}
		return row.code, row.hint
	}
	if errors.As(err, &storage) {
		if errors.As(err, &hinted) {
			hint = hinted.Hint()
		}
		return exitStore, hint
	}
	return exitFailure, ""
}

// report says what an error is, on one line, and returns the exit code.
func (j *job) report(ctx context.Context, err error) int {
	code, hint := judge(err)
	var quiet errQuiet
	if err == nil || errors.As(err, &quiet) {
		return code
	}
	text := undouble(err.Error())
	var usage *usageError
	switch {
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		text = "interrupted"
		if j.left != "" {
			text += "; " + j.left
		}
	case errors.As(err, &usage):
		command := usage.command
		if command == "" {
			command = j.command
		}
		if strings.HasSuffix(text, "?") {
			text += " Or try " + command + " --help"
		} else {
			text += "; try " + command + " --help"
		}
	case hint != "":
		text += "; " + hint
	}
	j.console.fail(text, code)
	return code
}
