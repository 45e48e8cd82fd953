package main

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func testRoot() *cobra.Command {
	return newRoot(&job{env: Env{Stdout: io.Discard, Stderr: io.Discard}, console: &console{out: io.Discard}})
}

func TestRoute(t *testing.T) {
	tests := []struct{ args, want string }{
		{"backup src url", "backup src url"},
		{"--no-encryption backup src url", "backup --no-encryption src url"},
		{"--name x full src url", "full --name x src url"},
		{"--name=x full src url", "full --name=x src url"},
		{"-v 4 st url", "st -v 4 url"},
		{"-v4 st url", "st -v4 url"},
		{"-lt 3D ls url", "ls -lt 3D url"},
		{"-lt3D ls url", "ls -lt3D url"},
		{"--exclude backup --exclude-device-files inc src url", "inc --exclude backup --exclude-device-files src url"},
		{"--archive-dir restore backup src url", "backup --archive-dir restore src url"},
		{"--progress off backup src url", "backup --progress=off src url"},
		{"--progress backup src url", "backup --progress src url"},
		{"backup -- --progress off", "backup -- --progress off"},
		{"--no-encryption /src file:///dst", "backup --no-encryption /src file:///dst"},
		{"-t 3D file:///src /dst", "restore -t 3D file:///src /dst"},
		{"--help", "--help"},
		{"", ""},
		{"help restore", "help restore"},
		{"index stat url", "index stat url"},
		{"--name x index --json stat url", "index stat --name x --json url"},
		{"index --no-encryption build --prefetch url", "index build --no-encryption --prefetch url"},
		{"index --help", "index --help"},
		{"completion bash", "completion bash"},
		{"__complete restore --f", "__complete restore --f"},
	}
	for _, tt := range tests {
		got, err := route(testRoot(), strings.Fields(tt.args))
		if diff := cmp.Diff(strings.Fields(tt.want), append([]string{}, got...)); err != nil || diff != "" {
			t.Errorf("route %q: %v\n%s", tt.args, err, diff)
		}
		if got == nil {
			t.Errorf("route %q is nil, for which cobra takes the arguments of the process", tt.args)
		}
	}
}

func TestRouteUnknown(t *testing.T) {
	for args, want := range map[string]string{
		"restor file:///a b c": "did you mean restore?",
		"/src /dst":            `unknown command "/src"`,
		"file:///a file:///b":  `unknown command "file:///a"`,
	} {
		_, err := route(testRoot(), strings.Fields(args))
		if code, _ := judge(err); code != exitUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("route %q: code %d, %v; want %q", args, code, err, want)
		}
	}
}

// TestSameOptions makes sure that an option means the same, as far as parsing goes,
// in every command: what route relies on.
func TestSameOptions(t *testing.T) {
	seen := make(map[string]*pflag.Flag)
	for _, c := range testRoot().Commands() {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			for _, key := range []string{"--" + f.Name, "-" + f.Shorthand} {
				if old := seen[key]; key != "-" && old != nil && (old.NoOptDefVal == "") != (f.NoOptDefVal == "") {
					t.Errorf("%s of %s takes a value here and none there", key, c.Name())
				}
				seen[key] = f
			}
		})
	}
	for from, to := range aliases {
		if seen["--"+to] == nil {
			t.Errorf("alias %s means %s, which no command has", from, to)
		}
	}
}

// TestHelp makes sure that every command explains itself, with an example.
func TestHelp(t *testing.T) {
	commands := testRoot().Commands()
	for _, c := range commands {
		if c.Name() == "index" {
			commands = append(commands, c.Commands()...)
		}
	}
	for _, c := range commands {
		switch c.Name() {
		case "help", "completion":
			continue
		}
		if c.Short == "" || !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no short text, or no example of its own", c.Name())
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" {
				t.Errorf("%s --%s says nothing", c.Name(), f.Name)
			}
		})
	}
}

// FuzzRoute runs arbitrary command lines as far as the parser goes.
func FuzzRoute(f *testing.F) {
	f.Add("--no-encryption backup src url")
	f.Add("-lt3D ls url")
	f.Add("--progress off -- --")
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, " ")
		got, err := route(testRoot(), args)
		if err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Error("error without text")
			}
			return
		}
		if joined := len(joinProgress(args)); len(got) != joined && len(got) != joined+1 {
			t.Errorf("route %q gives %q", args, got)
		}
	})
}

func TestNearest(t *testing.T) {
	c := find(testRoot(), "restore")
	for name, want := range map[string]string{"forc": "force", "tiem": "time", "path-to-restor": "path-to-restore", "xyzzyx": "", "z": ""} {
		if got := nearest(c.Flags(), name); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
}

func TestCompletion(t *testing.T) {
	var out strings.Builder
	env := Env{Stdout: &out, Stderr: io.Discard, Lookup: func(string) (string, bool) { return "", false }}
	if code := run(context.Background(), env, []string{"__complete", "rest"}); code != 0 || !strings.Contains(out.String(), "restore") {
		t.Errorf("exit code %d, completions %q", code, out.String())
	}
}
