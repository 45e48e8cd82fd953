package treetest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
)

// Case is one golden repository and what is known about it. The folders belong to
// all tests: copy (CopyRepo) before writing.
type Case struct {
	Name        string
	Description string
	Dir         string // the case's folder, absolute
	Repo        string // the objects as duplicity left them
	Archive     string // local metadata the writer left; "" if the case has none

	Hostname  string            `json:"hostname"`
	LocalDir  string            `json:"local_dir"`
	WrittenBy []string          `json:"written_by"` // versions of duplicity
	Env       map[string]string `json:"environment"`
	Keys      map[string]Key    `json:"keys"`
	Steps     []Step            `json:"steps"`
	Objects   []Object          `json:"remote_files"` // as they lie in Repo, damage included

	Times       []int64 `json:"complete_times"`    // Unix seconds of sets that were completed, ascending
	Unreachable []int64 `json:"unreachable_times"` // of Steps, shadowed by another set
	Interrupted int64   `json:"interrupted_time"`  // of a set that was killed and never finished; else 0
	Resumed     int64   `json:"resumed_time"`      // of a set that was killed and finished later; else 0

	Damaged   []string `json:"damaged_files"` // objects that were changed afterwards
	Removed   []string `json:"removed_files"` // objects that were deleted afterwards
	Selection []string `json:"selection"`     // --include… and --exclude… options, in order
	Notes     []string `json:"notes"`
	NotStored []string `json:"not_stored"`

	// Restores tells by time and version ("0.8.22", "3.1.0") what duplicity's own
	// restore of it did.
	Restores map[int64]map[string]Restore `json:"restored_by_duplicity"`
}

// Key is a throwaway OpenPGP key of a case. Public and Secret are absolute paths
// of armored files.
type Key struct {
	Algorithm   string `json:"algorithm"` // "rsa2048" or "curve25519"
	Fingerprint string `json:"fingerprint"`
	Subkey      string `json:"subkey"` // fingerprint of the encryption subkey
	Passphrase  string `json:"passphrase"`
	Public      string `json:"public"`
	Secret      string `json:"secret"`
}

// Step is one run of duplicity that completed a set.
type Step struct {
	Command string   `json:"command"` // "full" or "incremental"
	Version string   `json:"duplicity"`
	Options []string `json:"options"`
	Time    int64    `json:"time"` // Unix seconds
}

// Object is a file of the repository.
type Object struct {
	Name string `json:"name"`
	Size int64  `json:"size"` // bytes
	SHA1 string `json:"sha1"` // lower-case hex
}

// Restore is what one version of duplicity did when it restored one time.
type Restore struct {
	ExitCode    int          `json:"exit_code"`
	Equal       bool         `json:"equal"` // to the source before the backup
	Message     string       `json:"message"`
	Differences []Difference `json:"differences"`
	// IgnoreErrors is the same run with --ignore-errors; nil if it was not tried.
	IgnoreErrors *Restore `json:"with_ignore_errors"`
}

// Difference is a path that a Restore left unlike its source.
type Difference struct {
	PathBase64 string `json:"path_b64"`
	Field      string `json:"difference"` // "mtime", "missing after restore", …
	Type       Type   `json:"type"`       // only where the path is missing or extra
}

// LoadCases reads all golden repositories, sorted by name. It skips the test where
// they are absent.
func LoadCases(t testing.TB) []*Case {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(Fixtures(t), "*", "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		t.Fatalf("no golden repository in %s", Fixtures(t))
	}
	var cases []*Case
	for _, name := range names {
		cases = append(cases, readCase(t, filepath.Dir(name)))
	}
	return cases
}

// LoadCase reads the golden repository of that name.
func LoadCase(t testing.TB, name string) *Case {
	t.Helper()
	return readCase(t, filepath.Join(Fixtures(t), name))
}

func readCase(t testing.TB, dir string) *Case {
	t.Helper()
	c := &Case{Dir: dir, Repo: filepath.Join(dir, "repo")}
	readJSON(t, filepath.Join(dir, "case.json"), c)
	if archive := filepath.Join(dir, "archive"); exists(archive) {
		c.Archive = archive
	}
	for name, key := range c.Keys {
		key.Public = filepath.Join(dir, key.Public)
		key.Secret = filepath.Join(dir, key.Secret)
		c.Keys[name] = key
	}
	slices.Sort(c.Times)
	return c
}

// Source is the source tree just before the backup of that time; with Selection,
// what the rules select of it.
func (c *Case) Source(t testing.TB, time int64) Tree {
	t.Helper()
	return readRecord(t, c.record("expected", time))
}

// Expected is what a restore of that time must leave where duplicity's own restore
// succeeds: the source, but for what duplicity does not keep. Compare with the
// zero Options.
func (c *Case) Expected(t testing.TB, time int64) Tree {
	t.Helper()
	if name := c.record("restored", time); exists(name) {
		return readRecord(t, name)
	}
	return c.Source(t, time)
}

// WholeSource is the source tree before Selection; only cases with Selection have
// one.
func (c *Case) WholeSource(t testing.TB) Tree {
	t.Helper()
	return readRecord(t, filepath.Join(c.Dir, "source.json"))
}

func (c *Case) record(kind string, time int64) string {
	return filepath.Join(c.Dir, kind, strconv.FormatInt(time, 10)+".json")
}

// Restorable reports whether some version of duplicity restores that time with
// exit code 0 and without --ignore-errors.
func (c *Case) Restorable(time int64) bool {
	for _, r := range c.Restores[time] {
		if r.ExitCode == 0 {
			return true
		}
	}
	return false
}

// Passphrase is the value of PASSPHRASE, "" if there is none.
func (c *Case) Passphrase() string { return c.Env["PASSPHRASE"] }

// Environ is the case's environment as os/exec takes it, sorted.
func (c *Case) Environ() []string {
	var env []string
	for name, value := range c.Env {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}

// HasOption reports whether some step was run with that option.
func (c *Case) HasOption(name string) bool {
	return slices.ContainsFunc(c.Steps, func(s Step) bool { return slices.Contains(s.Options, name) })
}

// Option is the value that the first step with that option gave it.
func (c *Case) Option(name string) string {
	for _, step := range c.Steps {
		if i := slices.Index(step.Options, name); i >= 0 && i+1 < len(step.Options) {
			return step.Options[i+1]
		}
	}
	return ""
}

// CopyRepo copies the repository into a temporary folder that a test may change.
func (c *Case) CopyRepo(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(c.Repo)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// record is one line of a record file. Only path_b64 and target_b64 are sure to be
// whole.
type record struct {
	Path   []byte `json:"path_b64"`
	Type   Type   `json:"type"`
	Mode   string `json:"mode"`
	UID    int64  `json:"uid"`
	GID    int64  `json:"gid"`
	MTime  int64  `json:"mtime"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Target []byte `json:"target_b64"`
	Major  uint32 `json:"major"`
	Minor  uint32 `json:"minor"`
}

func readRecord(t testing.TB, name string) Tree {
	t.Helper()
	var file struct {
		Entries []record `json:"entries"`
	}
	readJSON(t, name, &file)
	var tree Tree
	for _, r := range file.Entries {
		e, err := r.entry()
		if err != nil {
			t.Fatalf("read record %s: %v", name, err)
		}
		tree = append(tree, e)
	}
	sortTree(tree)
	return tree
}

func (r record) entry() (Entry, error) {
	mode, err := strconv.ParseUint(r.Mode, 8, 12)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{
		Path: string(r.Path), Type: r.Type, Mode: uint32(mode), UID: r.UID, GID: r.GID, MTime: r.MTime,
		Size: r.Size, Target: string(r.Target), Major: r.Major, Minor: r.Minor,
	}
	if e.Path == "." {
		e.Path = ""
	}
	sum, err := hex.DecodeString(r.SHA256)
	if err != nil {
		return Entry{}, err
	}
	if r.Type == TypeFile && len(sum) != len(e.SHA256) {
		return Entry{}, fmt.Errorf("%q: hash of %d bytes", e.Path, len(sum))
	}
	copy(e.SHA256[:], sum)
	return e, nil
}

// Path is the raw path of a difference; the root is "".
func (d Difference) Path() string {
	raw, err := base64.StdEncoding.DecodeString(d.PathBase64)
	if err != nil || string(raw) == "." {
		return ""
	}
	return string(raw)
}

func readJSON(t testing.TB, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
