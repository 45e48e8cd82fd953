package treetest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Dup runs the duplicity that is installed, apart from the user's own settings: its
// home, archive folder, temporary folder and GnuPG home are its own. Change the
// fields to taste; the zero value is not usable. It runs the program in the current
// folder of the test. Old Pythons print warnings of their own to standard error.
type Dup struct {
	Home    string // HOME
	Archive string // --archive-dir
	Temp    string // --tempdir
	GPG     *GPG   // nil without gpg: then only --no-encryption works
	Env     []string
	Options []string // given to every command, "--no-encryption" at first
	Version string   // such as "0.8.22"
}

// Duplicity is a driver with folders of its own. It skips the test where duplicity
// is not installed, and logs its version. Backups are not encrypted until Encrypt.
func Duplicity(t testing.TB) *Dup {
	t.Helper()
	name := NeedTool(t, "duplicity")
	base := t.TempDir()
	d := &Dup{
		Home: filepath.Join(base, "home"), Archive: filepath.Join(base, "archive"), Temp: filepath.Join(base, "tmp"),
		Options: []string{"--no-encryption"},
	}
	for _, dir := range []string{d.Home, d.Archive, d.Temp} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	version.Do(func() {
		r := Run(t, d.Environ(), "", name, "--version").OK(t)
		version.text = strings.TrimSpace(strings.TrimPrefix(r.Stdout, "duplicity"))
	})
	d.Version = version.text
	t.Logf("duplicity %s", d.Version)
	return d
}

// version is asked for once: duplicity takes a second to start.
var version struct {
	sync.Once
	text string
}

// Encrypt makes all that follows encrypted, symmetrically with that passphrase
// unless Options name keys, in that GnuPG home (nil: an empty one).
func (d *Dup) Encrypt(t testing.TB, home *GPG, passphrase string, options ...string) {
	t.Helper()
	if home == nil {
		home = GPGHome(t)
	}
	d.GPG = home
	d.Env = append(d.Env, "PASSPHRASE="+passphrase)
	d.Options = options
}

// Environ is the environment that duplicity gets: C.UTF-8, UTC and no names of the
// test's own environment that it would heed.
func (d *Dup) Environ() []string {
	set := []string{
		"HOME=" + d.Home, "TMPDIR=" + d.Temp, "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TZ=UTC", "PYTHONWARNINGS=ignore",
		"XDG_CACHE_HOME", "XDG_CONFIG_HOME", "PASSPHRASE", "SIGN_PASSPHRASE", "GPG_AGENT_INFO", "GNUPGHOME",
	}
	if d.GPG != nil {
		set = append(set, "GNUPGHOME="+d.GPG.Home)
	}
	return Environ(append(set, d.Env...)...)
}

// URL is the file:// URL of a folder.
func URL(t testing.TB, dir string) string {
	t.Helper()
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return "file://" + abs
}

// Run runs duplicity with these arguments after those of Options and of the driver.
func (d *Dup) Run(t testing.TB, args ...string) Result {
	t.Helper()
	var all []string
	if verb := args[0]; !strings.HasPrefix(verb, "-") {
		all, args = append(all, verb), args[1:]
	}
	all = append(all, "--archive-dir", d.Archive, "--tempdir", d.Temp)
	all = append(append(all, d.Options...), args...)
	return Run(t, d.Environ(), "", "duplicity", all...)
}

// Full makes a full backup of src into the folder repo. A time, in Unix seconds,
// that is not 0 is the set's (--current-time).
func (d *Dup) Full(t testing.TB, src, repo string, time int64, options ...string) Result {
	t.Helper()
	return d.Run(t, d.backup(t, "full", src, repo, time, options)...)
}

// Inc makes an incremental backup; its time, if not 0, must be later than the last.
func (d *Dup) Inc(t testing.TB, src, repo string, time int64, options ...string) Result {
	t.Helper()
	return d.Run(t, d.backup(t, "incremental", src, repo, time, options)...)
}

func (d *Dup) backup(t testing.TB, verb, src, repo string, time int64, options []string) []string {
	t.Helper()
	args := []string{verb}
	if time != 0 {
		args = append(args, "--current-time", strconv.FormatInt(time, 10))
	}
	return append(append(args, options...), src, URL(t, repo))
}

// Restore restores the state at a time, in Unix seconds (0: the newest), into the
// folder target, which must be absent or empty.
func (d *Dup) Restore(t testing.TB, repo, target string, time int64, options ...string) Result {
	t.Helper()
	args := []string{"restore"}
	if time != 0 {
		args = append(args, "--time", strconv.FormatInt(time, 10))
	}
	return d.Run(t, append(append(args, options...), URL(t, repo), target)...)
}

// Verify compares the backup with src. Without --compare-data among the options
// duplicity compares nothing (duplicity-format.md §6.2).
func (d *Dup) Verify(t testing.TB, repo, src string, options ...string) Result {
	t.Helper()
	return d.Run(t, append(append([]string{"verify"}, options...), URL(t, repo), src)...)
}

// CollectionStatus describes the chains.
func (d *Dup) CollectionStatus(t testing.TB, repo string, options ...string) Result {
	t.Helper()
	return d.Run(t, append(append([]string{"collection-status"}, options...), URL(t, repo))...)
}

// List lists the files at a time, in Unix seconds (0: the newest).
func (d *Dup) List(t testing.TB, repo string, time int64, options ...string) Result {
	t.Helper()
	args := []string{"list-current-files"}
	if time != 0 {
		args = append(args, "--time", strconv.FormatInt(time, 10))
	}
	return d.Run(t, append(append(args, options...), URL(t, repo))...)
}

// Cleanup lists the remains of interrupted runs; with "--force" it deletes them.
func (d *Dup) Cleanup(t testing.TB, repo string, options ...string) Result {
	t.Helper()
	return d.Run(t, append(append([]string{"cleanup"}, options...), URL(t, repo))...)
}
