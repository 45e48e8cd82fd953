package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
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

	Self func() (*exec.Cmd, error) // this very run once more, with its streams and secrets; nil: impossible

	StdoutTerminal bool // odd bytes in names are quoted
	StderrTerminal bool // progress is drawn
}

// systemEnv is the Env of this process.
func systemEnv() Env {
	lookup := withoutSecrets()
	env := Env{
		Stdout: os.Stdout, Stderr: os.Stderr,
		Lookup: lookup, Setenv: os.Setenv,
		Now: time.Now, Location: time.Local, Hostname: os.Hostname,
		Self:           func() (*exec.Cmd, error) { return self(lookup) },
		StdoutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		StderrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	if stdin := int(os.Stdin.Fd()); env.StderrTerminal && term.IsTerminal(stdin) {
		env.Prompt = func(label string) ([]byte, error) {
			fmt.Fprint(os.Stderr, label)
			secret, err := readSecret(stdin)
			fmt.Fprintln(os.Stderr)
			return secret, err
		}
	}
	return env
}

// secretVariables are taken out of the environment that children get: a gpg-agent
// that gpg starts lives on and would keep them for all to see who may see its own.
var secretVariables = []string{"PASSPHRASE", "SIGN_PASSPHRASE", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}

// withoutSecrets moves the secrets out of the process's environment and looks
// variables up in both.
func withoutSecrets() func(name string) (string, bool) {
	secrets := make(map[string]string)
	for _, name := range secretVariables {
		if value, ok := os.LookupEnv(name); ok {
			secrets[name] = value
			os.Unsetenv(name) // fails for impossible names only
		}
	}
	return func(name string) (string, bool) {
		if value, ok := secrets[name]; ok {
			return value, true
		}
		return os.LookupEnv(name)
	}
}

// self is a command that runs this program again, as it was run.
func self(lookup func(string) (string, bool)) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	env := os.Environ()
	for _, name := range secretVariables {
		if value, ok := lookup(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return &exec.Cmd{Path: path, Args: os.Args, Env: env, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}, nil
}

// readSecret reads a line that the terminal does not show. A signal ends it, and the
// terminal shows again what is typed; only the reading itself, which cannot be
// stopped, goes on until the process ends.
func readSecret(terminal int) ([]byte, error) {
	before, err := term.GetState(terminal)
	if err != nil {
		return nil, err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	type answer struct {
		secret []byte
		err    error
	}
	answers := make(chan answer, 1)
	go func() {
		secret, err := term.ReadPassword(terminal)
		answers <- answer{secret, err}
	}()
	select {
	case a := <-answers:
		return a.secret, a.err
	case <-signals:
		return nil, errors.Join(context.Canceled, term.Restore(terminal, before))
	}
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
