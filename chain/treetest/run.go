package treetest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// Result is what a program said and how it ended.
type Result struct {
	Args     []string // program and arguments
	Stdout   string
	Stderr   string
	ExitCode int // -1 if a signal or the deadline ended it
}

// runDeadline ends a program that waits for ever, such as a gpg that asks.
const runDeadline = 5 * time.Minute

// Run runs a program without standard input, in that environment (as os/exec takes
// it; nil for the test's own) and working directory ("" for the test's own). It
// ends the test only if the program cannot be started.
func Run(t testing.TB, env []string, dir, name string, args ...string) Result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env, cmd.Dir = env, dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// An agent that the program left behind may hold its pipes open.
	cmd.WaitDelay = 10 * time.Second
	timer := time.AfterFunc(runDeadline, func() { _ = cmd.Cancel() })
	defer timer.Stop()
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("run %s: %v", name, err)
	}
	return Result{
		Args: append([]string{name}, args...), Stdout: stdout.String(), Stderr: stderr.String(), ExitCode: cmd.ProcessState.ExitCode(),
	}
}

// OK ends the test unless the exit code is 0, and returns the result.
func (r Result) OK(t testing.TB) Result {
	t.Helper()
	return r.Exit(t, 0)
}

// Exit ends the test unless the exit code is that, and returns the result.
func (r Result) Exit(t testing.TB, code int) Result {
	t.Helper()
	if r.ExitCode != code {
		t.Fatalf("%s: exit code %d, want %d\n%s", strings.Join(r.Args, " "), r.ExitCode, code, r.Output())
	}
	return r
}

// Output is standard output followed by standard error.
func (r Result) Output() string { return r.Stdout + r.Stderr }

// Environ is the test's environment with the same names set to these values,
// "NAME=value" each; a bare "NAME" is removed.
func Environ(set ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(old string) bool {
		name, _, _ := strings.Cut(old, "=")
		return slices.ContainsFunc(set, func(s string) bool {
			n, _, _ := strings.Cut(s, "=")
			return n == name
		})
	})
	for _, s := range set {
		if strings.Contains(s, "=") {
			env = append(env, s)
		}
	}
	return env
}
