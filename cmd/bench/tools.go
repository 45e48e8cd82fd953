package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// command makes the arguments of a program from the folders of a tool's round.
type command func(t *tool) []string

// tool is one contestant. A phase without a command is not for it.
type tool struct {
	name    string
	program string   // looked up in PATH, or a path
	version []string // arguments that make it tell its version
	secret  string   // environment variable for the passphrase, if it encrypts
	frozen  bool     // it cannot follow edits: what it restores is the first state

	of string // the tool whose repository it restores; "": its own

	setup, full, inc, fresh, restoreNewest, restoreFresh, restoreFirst command

	// mount serves the newest state, in the foreground until SIGINT, and tree is where that
	// is. A tool with a tree and without a mount is a plain directory.
	mount command
	tree  func(t *tool) string
	// cat writes a file of the newest state.
	cat func(t *tool, path string) []string

	// local stands before a folder's path to name a repository there. s3 is how the tool names a place in a bucket (with the slash between), and an
	// endpoint. Nil: it does not go to S3.
	local string
	s3    func(endpoint, place string) (url string, flags []string)
	near  bool // the server is next door

	// restored is where in target the tree lies, if not at its root.
	restored func(t *tool) string

	// Of one round. The url is what the tool calls its repository, which repo is the
	// folder of; flags go with it.
	source, repo, url, cache, target, log string
	flags, env                            []string
	origin                                *tool // that of is the name of, or the tool itself
	first                                 int64 // Unix seconds after the full backup
}

// passphrase of all repositories: the benchmark's data is no secret.
const passphrase = "benchmark"

// contestants are all tools of the mode; the program of ours is filled in later.
func (o options) contestants() []*tool {
	if o.s3 {
		return remoteContestants()
	}
	return localContestants()
}

func localContestants() []*tool {
	return []*tool{
		hindsight("hindsight-gz", "", "--no-encryption"),
		hindsight("hindsight-gpg", "PASSPHRASE"),
		duplicity("duplicity-gz", "", "--no-encryption"),
		duplicity("duplicity-gpg", "PASSPHRASE"),
		foreign("hindsight-of-duplicity-gz", "duplicity-gz", "", "--no-encryption"),
		foreign("hindsight-of-duplicity-gpg", "duplicity-gpg", "PASSPHRASE"),
		restic(),
		{
			name: "tar", program: "tar", version: []string{"--version"}, frozen: true,
			full:          func(t *tool) []string { return []string{"-C", t.source, "-czf", t.repo + "/full.tar.gz", "."} },
			restoreNewest: func(t *tool) []string { return []string{"-C", mkdir(t.target), "-xzf", t.repo + "/full.tar.gz"} },
		},
		{
			name: "cp", program: "cp", version: []string{"--version"},
			restoreNewest: func(t *tool) []string { return []string{"-a", t.source, t.target} },
			tree:          func(t *tool) string { return t.source },
		},
		{
			name: "find", program: "find", version: []string{"--version"}, frozen: true,
			inc: func(t *tool) []string { return []string{t.source, "-newer", t.log} },
		},
	}
}

func hindsight(name, secret string, flags ...string) *tool {
	run := func(t *tool, verb string, args ...string) []string {
		all := append([]string{verb, "--cache-dir", t.cache}, flags...)
		return append(append(all, t.flags...), args...)
	}
	backup := func(t *tool) []string { return run(t, "backup", t.source, t.url) }
	return &tool{
		name: name, version: []string{"version"}, secret: secret, full: backup, inc: backup, local: "file://",
		fresh:         func(t *tool) []string { return run(t, "backup", t.source, t.url+"-fresh") },
		restoreNewest: func(t *tool) []string { return run(t, "restore", t.origin.url, t.target) },
		restoreFresh:  func(t *tool) []string { return run(t, "restore", t.url+"-fresh", t.target) },
		restoreFirst: func(t *tool) []string {
			return run(t, "restore", "--time", strconv.FormatInt(t.origin.first, 10), t.origin.url, t.target)
		},
		mount: func(t *tool) []string { return run(t, "mount", t.url, mkdir(t.mountpoint())) },
		tree:  func(t *tool) string { return filepath.Join(t.mountpoint(), "latest") },
		cat:   func(t *tool, path string) []string { return run(t, "cat", t.url, path) },
		s3: func(endpoint, place string) (string, []string) {
			return "s3://" + place, []string{"--s3-endpoint-url", endpoint}
		},
	}
}

// foreign is hindsight as it restores what another tool has backed up.
func foreign(name, of, secret string, flags ...string) *tool {
	t := hindsight(name, secret, flags...)
	t.of, t.full, t.inc, t.fresh, t.restoreFresh, t.mount, t.tree, t.cat = of, nil, nil, nil, nil, nil, nil, nil
	return t
}

func duplicity(name, secret string, flags ...string) *tool {
	run := func(t *tool, verb string, args ...string) []string {
		all := append([]string{verb, "--archive-dir", t.cache}, flags...)
		return append(append(all, t.flags...), args...)
	}
	return &tool{
		name: name, program: "duplicity", version: []string{"--version"}, secret: secret, local: "file://",
		full:          func(t *tool) []string { return run(t, "full", t.source, t.url) },
		inc:           func(t *tool) []string { return run(t, "incremental", t.source, t.url) },
		restoreNewest: func(t *tool) []string { return run(t, "restore", t.url, t.target) },
		restoreFirst: func(t *tool) []string {
			return run(t, "restore", "--time", strconv.FormatInt(t.first, 10), t.url, t.target)
		},
		s3: func(endpoint, place string) (string, []string) {
			return "boto3+s3://" + place, []string{"--s3-endpoint-url", endpoint}
		},
	}
}

func restic() *tool {
	run := func(t *tool, args ...string) []string {
		return append([]string{"--quiet", "--repo", t.url, "--cache-dir", t.cache}, args...)
	}
	return &tool{
		name: "restic", program: "restic", version: []string{"version"}, secret: "RESTIC_PASSWORD",
		setup:         func(t *tool) []string { return run(t, "init") },
		full:          func(t *tool) []string { return run(t, "backup", "--tag", "first", t.source) },
		inc:           func(t *tool) []string { return run(t, "backup", t.source) },
		restoreNewest: func(t *tool) []string { return run(t, "restore", "latest", "--target", t.target) },
		restoreFirst:  func(t *tool) []string { return run(t, "restore", "--tag", "first", "latest", "--target", t.target) },
		restored:      func(t *tool) string { return t.target + t.source },
		mount:         func(t *tool) []string { return run(t, "mount", mkdir(t.mountpoint())) },
		tree:          func(t *tool) string { return t.mountpoint() + "/snapshots/latest" + t.source },
		s3:            func(endpoint, place string) (string, []string) { return "s3:" + endpoint + "/" + place, nil },
	}
}

func mkdir(dir string) string {
	_ = os.Mkdir(dir, 0o755) // tar reports it if there is no such folder
	return dir
}

func (o options) toolNames() []string {
	var names []string
	for _, t := range o.contestants() {
		names = append(names, t.name)
	}
	return names
}

// tools are the contestants that were asked for and are installed.
func (o options) tools() ([]*tool, error) {
	for _, name := range o.only {
		if !slices.Contains(o.toolNames(), name) {
			return nil, fmt.Errorf("--only %s: no such tool, there are %v", name, o.toolNames())
		}
	}
	var tools []*tool
	for _, t := range o.contestants() {
		if len(o.only) > 0 && !slices.Contains(o.only, t.name) {
			continue
		}
		if isOurs(t.name) {
			t.program = o.binary
		}
		if t.origin = origin(tools, t); t.origin == nil {
			continue
		}
		path, err := exec.LookPath(t.program)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s is left out: %v\n", t.name, err)
			continue
		}
		t.program = path
		tools = append(tools, t)
	}
	return tools, nil
}

// origin is whose repository a tool restores, nil if that does not take part.
func origin(tools []*tool, t *tool) *tool {
	if t.of == "" {
		return t
	}
	for _, other := range tools {
		if other.name == t.of {
			return other
		}
	}
	return nil
}

// prepare gives the tool its folders for a round, and an environment that leads
// nowhere else.
func (t *tool) prepare(ctx context.Context, round string, r *remote) error {
	base := filepath.Join(round, t.name)
	t.source = filepath.Join(round, "source")
	t.repo, t.flags = filepath.Join(base, "repo"), nil
	t.url = t.local + t.repo
	t.cache, t.target = filepath.Join(base, "cache"), filepath.Join(base, "target")
	t.log = filepath.Join(base, "log")
	home, temp := filepath.Join(base, "home"), filepath.Join(base, "tmp")
	for _, dir := range []string{t.repo, t.cache, home, temp} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	t.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GNUPGHOME=" + home, "TMPDIR=" + temp,
		"LANG=C.UTF-8", "TZ=UTC", "PYTHONWARNINGS=ignore",
	}
	if t.secret != "" {
		t.env = append(t.env, t.secret+"="+passphrase)
	}
	if r != nil && t.s3 != nil {
		r.place(t)
	}
	if t.setup == nil {
		return nil
	}
	_, err := t.measure(ctx, t.setup)
	return err
}

// mountpoint is where a tool that mounts does so.
func (t *tool) mountpoint() string { return filepath.Join(filepath.Dir(t.repo), "mount") }

// stop ends the agent that gpg may have started in the tool's home.
func (t *tool) stop() {
	cmd := exec.Command("gpgconf", "--kill", "all")
	cmd.Env = t.env
	_ = cmd.Run() // nothing to stop, or no gpg
}
