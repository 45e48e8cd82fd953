package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"hindsight/chain/treetest"
)

// TestMain lets scripts run the program: the test binary stands in for it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"hindsight": main})
}

// TestScripts runs testdata/script. "code N CMD ARGS" runs a program that must exit
// with that code.
func TestScripts(t *testing.T) {
	fixtures, _ := filepath.Abs(filepath.Join(treetest.ModuleRoot(t), "..", "shared", "fixtures"))
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	if treetest.Short() {
		scripts = slices.DeleteFunc(scripts, func(name string) bool {
			return !slices.Contains([]string{"backup", "mount"}, strings.TrimSuffix(filepath.Base(name), ".txtar"))
		})
	}
	testscript.Run(t, testscript.Params{
		Files: scripts,
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=0") // a second for each run
			e.Setenv("TZ", "UTC")
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			e.Setenv("FIXTURES", fixtures)
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "fixtures":
				_, err := os.Stat(fixtures)
				return err == nil, nil
			case "root":
				return os.Geteuid() == 0, nil
			}
			return false, errors.New("unknown condition " + cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": scriptCode},
	})
}

func scriptCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N CMD ARGS")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// result is what one run said and how it ended.
type result struct {
	stdout, stderr string
	code           int
}

// world is the Env of one test: its own directories, UTC, and nobody at the terminal.
type world struct {
	env  Env
	vars map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{vars: map[string]string{"HOME": t.TempDir()}}
	w.env = Env{
		Lookup:   func(name string) (string, bool) { v, ok := w.vars[name]; return v, ok },
		Setenv:   func(name, value string) error { w.vars[name] = value; return nil },
		Now:      time.Now,
		Location: time.UTC,
		Hostname: func() (string, error) { return "fxhost.example.com", nil },
	}
	return w
}

// run runs one command line in this process.
func (w *world) run(t *testing.T, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env := w.env
	env.Stdout, env.Stderr = &stdout, &stderr
	code := run(context.Background(), env, args)
	return result{stdout.String(), stderr.String(), code}
}

// exit ends the test unless the run exited with that code.
func (r result) exit(t *testing.T, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	return r
}

// caseFlags are the options to read a golden repository with, and its passphrase
// goes into the world.
func (w *world) caseFlags(c *treetest.Case) []string {
	w.vars["PASSPHRASE"] = c.Passphrase()
	var flags []string
	for _, name := range []string{"--file-prefix", "--file-prefix-archive", "--file-prefix-manifest", "--file-prefix-signature"} {
		if v := c.Option(name); v != "" {
			flags = append(flags, name, v)
		}
	}
	for _, k := range c.Keys {
		flags = append(flags, "--key-file", k.Secret)
	}
	return flags
}

// onlyLine is text without its line end; it must be one line.
func onlyLine(t *testing.T, text string) string {
	t.Helper()
	line, rest, ok := strings.Cut(text, "\n")
	if !ok || rest != "" {
		t.Errorf("want one line, got %q", text)
	}
	return line
}
