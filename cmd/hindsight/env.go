package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"
)

// Env is what a run has of the world around it. It is handed down: nothing below
// main reads the process's own.
type Env struct {
	Stdout, Stderr io.Writer

	Lookup func(name string) (string, bool)   // of the environment
	Setenv func(name, value string) error     // for children and temporary files
	Prompt func(label string) ([]byte, error) // asks for a secret; nil: nobody is there

	Now      func() time.Time
	Location *time.Location // for times that are shown, and those given without a zone
	Hostname func() (string, error)

	StdoutTerminal bool // odd bytes in names are quoted
	StderrTerminal bool // progress is drawn
}

// systemEnv is the Env of this process.
func systemEnv() Env {
	env := Env{
		Stdout: os.Stdout, Stderr: os.Stderr,
		Lookup: os.LookupEnv, Setenv: os.Setenv,
		Now: time.Now, Location: time.Local, Hostname: os.Hostname,
		StdoutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		StderrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	if stdin := int(os.Stdin.Fd()); env.StderrTerminal && term.IsTerminal(stdin) {
		env.Prompt = func(label string) ([]byte, error) {
			fmt.Fprint(os.Stderr, label)
			secret, err := term.ReadPassword(stdin)
			fmt.Fprintln(os.Stderr)
			return secret, err
		}
	}
	return env
}

// get is a variable's value, "" if it is not set.
func (e Env) get(name string) string {
	v, _ := e.Lookup(name)
	return v
}

// userDir is the user's directory that an XDG variable names, or else the one below
// home.
func (e Env) userDir(xdg, below string) (string, error) {
	if dir := e.get(xdg); filepath.IsAbs(dir) {
		return dir, nil
	}
	home := e.get("HOME")
	if home == "" {
		return "", usagef("neither %s nor HOME is set", xdg)
	}
	return filepath.Join(home, below), nil
}
