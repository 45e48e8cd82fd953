package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"hindsight/chain/treetest"
)

// needFUSE skips the test where nothing can be mounted.
func needFUSE(t testing.TB) {
	t.Helper()
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		treetest.Missing(t, err.Error())
	}
	f.Close()
	treetest.NeedTool(t, "fusermount3")
}

// mount is a mount by a process of its own.
type mount struct {
	dir   string
	cmd   *exec.Cmd
	lines chan string // of standard error, after the one that says it is ready; closed at its end
}

// mount starts a mount on a new directory, which ends with the test.
func (p *program) mount(t *testing.T, args ...string) *mount {
	t.Helper()
	needFUSE(t)
	m := &mount{dir: t.TempDir()}
	m.cmd = p.command(append(append([]string{"mount"}, args...), m.dir)...)
	stderr, err := m.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.lines = make(chan string, 1000)
	go func() {
		defer close(m.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			m.lines <- s.Text()
		}
	}()
	t.Cleanup(func() { m.end(t) })
	m.await(t, "unmounts it")
	return m
}

// await waits for a line of standard error that has some text.
func (m *mount) await(t *testing.T, text string) {
	t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case line, ok := <-m.lines:
			if !ok {
				t.Fatalf("the mount ended before it said %q", text)
			}
			if strings.Contains(line, text) {
				return
			}
			t.Logf("mount: %s", line)
		case <-late:
			t.Fatalf("the mount did not say %q", text)
		}
	}
}

// end unmounts by a signal, which must end the process well, and nothing may be left.
func (m *mount) end(t *testing.T) {
	t.Helper()
	if m.cmd.ProcessState == nil {
		if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		m.wait(t, 0)
	}
}

// wait waits for the process to end with a code.
func (m *mount) wait(t *testing.T, code int) {
	t.Helper()
	kill := time.AfterFunc(time.Minute, func() {
		t.Errorf("the mount does not end")
		_ = exec.Command("fusermount3", "-u", "-z", m.dir).Run()
		_ = m.cmd.Process.Kill()
	})
	defer kill.Stop()
	for line := range m.lines {
		t.Logf("mount: %s", line)
	}
	_ = m.cmd.Wait() // the code says it all
	if got := m.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("the mount ended with %d, want %d", got, code)
	}
	if table, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(table), m.dir) {
		t.Errorf("%s is still mounted (%v)", m.dir, err)
	}
}

// at is the directory of a backup.
func (m *mount) at(epoch int64) string {
	return filepath.Join(m.dir, time.Unix(epoch, 0).UTC().Format("2006-01-02T150405Z"))
}

// caseProgram is a program with the keys of a case, and the options to read it.
func caseProgram(t *testing.T, c *treetest.Case) (p *program, args []string) {
	t.Helper()
	p = newProgram(t)
	w := newWorld(t)
	args = append(w.caseFlags(c), c.Repo)
	p.env = append(p.env, "PASSPHRASE="+c.Passphrase())
	return p, args
}

// TestMountGolden mounts every golden repository: each backup must look like what
// duplicity restores of it.
func TestMountGolden(t *testing.T) {
	treetest.NeedRoot(t)
	times := 0
	for _, c := range treetest.LoadCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			brief(t, c)
			p, args := caseProgram(t, c)
			m := p.mount(t, args...)
			for _, at := range c.Times {
				if !c.Restorable(at) {
					continue
				}
				times++
				tree, err := treetest.Scan(m.at(at) + "/.") // that of a lost backup leads to the one before
				if err != nil {
					t.Errorf("time %d: %v", at, err)
					continue
				}
				want := c.Expected(t, at).Without(func(e treetest.Entry) bool { return e.Type == treetest.TypeSocket })
				if !treetest.Equal(t, tree, want, treetest.Options{EpochTimes: true}) {
					t.Errorf("at time %d", at)
				}
			}
		})
	}
	t.Logf("%d times", times)
}

// TestMountDamaged mounts damaged repositories: what a restore can save is there, and
// what it names as lost cannot be read.
func TestMountDamaged(t *testing.T) {
	treetest.NeedRoot(t)
	for _, name := range []string{"corrupt-volume", "corrupt-volume-gpg", "truncated-volume-v3", "missing-volume-full", "missing-volume-inc-v3"} {
		t.Run(name, func(t *testing.T) {
			c, w := treetest.LoadCase(t, name), newWorld(t)
			brief(t, c)
			at := c.Times[len(c.Times)-1]
			target := filepath.Join(t.TempDir(), "target")
			restore := append([]string{"restore", "--ignore-errors", "--json", "--time", strconv.FormatInt(at, 10), c.Repo, target}, w.caseFlags(c)...)
			lost := parseLost(t, w.run(t, restore...).exit(t, exitFailure).stderr)
			p, args := caseProgram(t, c)
			m := p.mount(t, args...)
			for _, e := range treetest.Record(t, target) {
				if e.Type != treetest.TypeFile {
					continue
				}
				got, err := os.ReadFile(filepath.Join(m.at(at), e.Path))
				want, err2 := os.ReadFile(filepath.Join(target, e.Path))
				if err != nil || err2 != nil || string(got) != string(want) {
					t.Errorf("%s: %v, %v, or other content", e.Path, err, err2)
				}
			}
			for _, path := range lost {
				if _, err := os.ReadFile(filepath.Join(m.at(at), path)); !errors.Is(err, syscall.EIO) {
					t.Errorf("%s: %v, want EIO", path, err)
				}
			}
		})
	}
}

// TestMountPrefetch lets a backup by duplicity come while a mount is up: its sizes are
// found out as those of the ones before were.
func TestMountPrefetch(t *testing.T) {
	treetest.Sequential(t) // TestMountFollows is for the race detector
	c := treetest.LoadCase(t, "plain-gz")
	repo, last := t.TempDir(), time.Unix(c.Times[len(c.Times)-1], 0).UTC().Format("20060102T150405Z")
	add := func(later bool) {
		entries, err := os.ReadDir(c.Repo)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(entries) // volumes come before the manifest
		for _, e := range entries {
			if strings.Contains(e.Name(), "to."+last) != later {
				continue
			}
			data, err := os.ReadFile(filepath.Join(c.Repo, e.Name()))
			if err == nil {
				err = os.WriteFile(filepath.Join(repo, e.Name()), data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	add(false)
	p := newProgram(t)
	p.mount(t, "--prefetch", "--refresh", "1s", repo)
	known := func(snapshots int) {
		t.Helper()
		var got indexed
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			got = indexed{}
			if err := json.Unmarshal([]byte(p.run(t, "index", "stat", "--json", repo)), &got); err != nil {
				t.Fatal(err)
			}
			if got.Snapshots == snapshots && got.Unknown == 0 {
				return
			}
		}
		t.Fatalf("%d snapshots, the last with %d files of unknown size; want %d with none", got.Snapshots, got.Unknown, snapshots)
	}
	known(len(c.Times) - 1)
	add(true)
	known(len(c.Times))
}

// backups makes n backups of a random tree, a day apart, and keeps what it looked
// like.
func backups(t *testing.T, p *program, n int, flags ...string) (repo string, states map[int64]treetest.Tree) {
	t.Helper()
	rng := treetest.Rand(t, 5)
	src, repo := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "repo")
	opts := treetest.RandomOptions{Nodes: 150, OddNames: true, Special: true}
	treetest.Random(t, src, rng, opts)
	states = make(map[int64]treetest.Tree)
	for i := range n {
		at := treetest.BaseTime + int64(i)*86400
		if i > 0 {
			treetest.Mutate(t, src, rng, at-1000, 25, opts)
		}
		p.run(t, append(slices.Clone(flags), "backup", "-q", "--volsize", "1", "--current-time", fmt.Sprint(at), src, repo)...)
		states[at] = treetest.Record(t, src)
	}
	return repo, states
}

// TestMountOwn mounts what hindsight wrote itself, as gzip and encrypted: fractions of
// seconds are there, too.
func TestMountOwn(t *testing.T) {
	treetest.Sequential(t) // TestMountGolden and TestSoakMount are for the race detector
	treetest.NeedRoot(t)
	for _, kind := range []string{"--no-encryption", "gpg"} {
		t.Run(kind, func(t *testing.T) {
			p := newProgram(t)
			var flags []string
			if kind == "gpg" {
				p.env = append(p.env, "PASSPHRASE=secret")
			} else {
				flags = []string{kind}
			}
			repo, states := backups(t, p, 4, flags...)
			m := p.mount(t, repo)
			for at, want := range states {
				treetest.Equal(t, treetest.Record(t, m.at(at)), want, treetest.Options{Nanoseconds: true, WithoutSockets: true})
			}
			one := p.mount(t, "--time", fmt.Sprint(treetest.BaseTime+86400), repo)
			treetest.Equal(t, treetest.Record(t, one.dir), states[treetest.BaseTime+86400], treetest.Options{Nanoseconds: true, WithoutSockets: true})
		})
	}
}

// TestMountEnds ends a mount in all the ways there are.
func TestMountEnds(t *testing.T) {
	t.Parallel() // it mostly waits
	p := newProgram(t)
	repo, _ := backups(t, p, 1, "--no-encryption")
	for _, how := range []string{"umount", "fusermount3 -u", "SIGINT", "SIGHUP"} {
		t.Run(how, func(t *testing.T) {
			m := p.mount(t, repo)
			switch how {
			case "SIGINT":
				m.signal(t, syscall.SIGINT)
			case "SIGHUP":
				m.signal(t, syscall.SIGHUP)
			default:
				args := append(strings.Fields(how), m.dir)
				treetest.Run(t, nil, "", args[0], args[1:]...).OK(t)
			}
			m.wait(t, 0)
		})
	}
	t.Run("busy", func(t *testing.T) {
		m := p.mount(t, repo)
		f, err := os.Open(filepath.Join(m.dir, "latest"))
		if err != nil {
			t.Fatal(err)
		}
		m.signal(t, syscall.SIGTERM)
		m.await(t, fmt.Sprintf("(pid %d, open file %s/", os.Getpid(), m.dir))
		if _, err := os.Stat(filepath.Join(m.dir, "latest")); err != nil {
			t.Errorf("a mount that waits: %v", err)
		}
		f.Close()
		m.wait(t, 0)
	})
	t.Run("twice", func(t *testing.T) {
		m := p.mount(t, repo)
		f, err := os.Open(filepath.Join(m.dir, "latest"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m.signal(t, syscall.SIGTERM)
		m.await(t, "interrupt again")
		m.signal(t, syscall.SIGTERM)
		m.wait(t, exitFailure)
	})
}

func (m *mount) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := m.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// TestMountFollows makes backups while a mount shows them.
func TestMountFollows(t *testing.T) {
	t.Parallel() // it mostly waits
	p := newProgram(t)
	repo, _ := backups(t, p, 1, "--no-encryption")
	m := p.mount(t, "--refresh", "1s", repo)
	src := t.TempDir()
	treetest.Write(t, src, treetest.File("only", "new"))
	p.run(t, "full", "-q", "--no-encryption", "--allow-source-mismatch", src, repo)
	deadline := time.Now().Add(time.Minute)
	for {
		got, err := os.ReadFile(filepath.Join(m.dir, "latest", "only"))
		if err == nil && string(got) == "new" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the new backup does not appear: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if got, err := os.ReadFile(filepath.Join(m.dir, "now", "only")); err != nil || string(got) != "new" {
		t.Errorf("now: %q, %v", got, err)
	}
}

// TestMountDaemon goes to the background when the mount is ready.
func TestMountDaemon(t *testing.T) {
	t.Parallel()           // it mostly waits for other processes
	treetest.Sequential(t) // TestMountEnds is for the race detector
	needFUSE(t)
	p := newProgram(t)
	p.env = append(p.env, "PASSPHRASE=secret")
	repo, states := backups(t, p, 1)
	dir, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	p.run(t, "mount", "--daemon", "--log-file", log, repo, dir)
	treetest.Equal(t, treetest.Record(t, dir+"/latest/."), states[treetest.BaseTime], treetest.Options{WithoutSockets: true})
	holder, err := os.Open(filepath.Join(dir, "latest"))
	if err != nil {
		t.Fatal(err)
	}
	treetest.Run(t, nil, "", "fusermount3", "-u", dir).Exit(t, 1)
	holder.Close()
	treetest.Run(t, nil, "", "fusermount3", "-u", dir).OK(t)

	p.env = append(p.env, "PASSPHRASE=wrong")
	if r := treetest.Run(t, p.env, "", p.path, "mount", "--daemon", "--cache-dir", t.TempDir(), repo, dir); r.ExitCode != exitDecrypt {
		t.Errorf("exit code %d: %s", r.ExitCode, r.Stderr)
	}
}
