package fusefs_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hindsight/chain/naming"
	"hindsight/chain/treetest"
	"hindsight/fusefs"
)

// days is a model of n days, on each of which file holds the day's name.
func days(t testing.TB, n int) (*model, string) {
	t.Helper()
	src := t.TempDir()
	m := newModel()
	for day := range n {
		addDay(t, m, src, day)
	}
	return m, src
}

func addDay(t testing.TB, m *model, src string, day int) {
	t.Helper()
	at := first + naming.Time(day)*86400
	treetest.Write(t, src, treetest.File("file", dateName(day)).At(int64(at)), treetest.File("same", "same"))
	m.add(t, src, at)
}

func TestRoot(t *testing.T) {
	m, _ := days(t, 3)
	dir, _ := mounted(t, m, fusefs.Options{})
	want := "2026-11-20T030000Z\n2026-11-21T030000Z\n2026-11-22T030000Z\nlatest"
	if got := sh(t, dir, "ls -A"); got != want {
		t.Errorf("ls: %q, want %q", got, want)
	}
	if got := sh(t, dir, "readlink latest; cat latest/file"); got != dateName(2)+"\n"+dateName(2) {
		t.Errorf("latest: %q", got)
	}
	if got := sh(t, dir, "stat -c '%F %a %h' ."); got != "directory 555 1" {
		t.Errorf("root: %q", got)
	}
	if out, err := trySh(dir, "ls -d 2026-11-19T030000Z"); err == nil {
		t.Errorf("a day without a backup: %s", out)
	}
}

// TestTimes looks up what no directory is named as. It is the 23rd, 3 in the morning.
func TestTimes(t *testing.T) {
	m, _ := days(t, 3)
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := mounted(t, m, fusefs.Options{Location: berlin})
	for name, day := range map[string]int{
		"now": 2, "latest": 2, "1D": 2, "2D": 1, "3D": 0, "2D1s": 0, "1D12h": 1,
		"2026-11-22": 1, "11-22-2026": 1, "20261122Z": 1, "1795143600": 0, "1795230000": 1,
		"2026-11-21T03:00:00Z": 1, "2026-11-21T03:59:59": 0, "2026-11-21T04:00:00": 1, "20261121T030000Z": 1,
		"2026-11-21T120000Z": 1, "2031-01-01": 2,
		"4D": -1, "2026-11-20": -1, "1": -1, "nonsense": -1, "3d": -1, ".git": -1, "2026-11-19T120000Z": -1,
	} {
		got, err := trySh(dir, `cd "$1"; pwd -P; cat file`, name)
		if day < 0 {
			if err == nil {
				t.Errorf("%s leads to %s", name, got)
			}
			continue
		}
		if want := filepath.Join(dir, dateName(day)) + "\n" + dateName(day); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestTemplate(t *testing.T) {
	for template, ok := range map[string]bool{
		fusefs.DefaultTemplate: true, "2006-01-02_15.04": true, "monday": false, "": false, "2006/01/02": false, ".2006": false,
		strings.Repeat("2006", 60): false,
	} {
		if err := fusefs.CheckTemplate(template); (err == nil) != ok {
			t.Errorf("%q: %v", template, err)
		}
	}
	m, src := days(t, 2)
	treetest.Write(t, src, treetest.File("file", "again"))
	m.add(t, src, first+86400+60)
	dir, _ := mounted(t, m, fusefs.Options{Template: "Jan-02"})
	if got := sh(t, dir, "ls; cat Nov-21/file Nov-21-2/file"); got != "Nov-20\nNov-21\nNov-21-2\nlatest\n"+dateName(1)+"again" {
		t.Errorf("got %q", got)
	}
}

// TestReload adds and removes snapshots of a mount that is in use.
func TestReload(t *testing.T) {
	m, src := days(t, 2)
	clock := now.Time()
	dir, mnt := mounted(t, m, fusefs.Options{Now: func() time.Time { return clock }})
	script := "ls; cat latest/file; echo; cat now/file; echo; ls .versions/file"
	sh(t, dir, script)
	addDay(t, m, src, 2)
	clock = clock.Add(time.Second)
	mnt.Reload()
	want := strings.Join([]string{dateName(0), dateName(1), dateName(2), "latest", dateName(2), dateName(2), dateName(0), dateName(1), dateName(2)}, "\n")
	if got := sh(t, dir, script); got != want {
		t.Errorf("after a backup: %q, want %q", got, want)
	}
	if got := sh(t, dir, `cat "$1/file"`, dateName(0)); got != dateName(0) {
		t.Errorf("got %q", got)
	}
	m.drop(1)
	clock = clock.Add(time.Second)
	mnt.Reload()
	if got := sh(t, dir, "ls"); got != dateName(1)+"\n"+dateName(2)+"\nlatest" {
		t.Errorf("after a removal: %q", got)
	}
	if out, err := trySh(dir, `ls "$1"`, dateName(0)); err == nil {
		t.Errorf("a snapshot that was removed still shows %q", out)
	}
}

// TestVersions lists what a path was over time.
func TestVersions(t *testing.T) {
	m, src := days(t, 2)
	treetest.Write(t, src, treetest.File("was/both/x", "x"), treetest.File("was/gone", "1"))
	m.add(t, src, first+2*86400)
	sh(t, src, "rm -r was/both was/gone; echo file >was/both; ln -s to was/link")
	m.add(t, src, first+3*86400)
	dir, _ := mounted(t, m, fusefs.Options{Now: (first + 5*86400).Time})
	for script, want := range map[string]string{
		"ls -A .versions":                                  "file\nsame\nwas",
		"ls -A .versions/was":                              "both\ngone\nlink",
		"ls -A .versions/file":                             dateName(0) + "\n" + dateName(1),
		"ls -A .versions/same":                             dateName(0),
		"ls -A .versions/was/both":                         dateName(3) + "\nx",
		"ls -A .versions/was/both/x":                       dateName(2),
		"cat .versions/was/both/x/*":                       "x",
		"cat .versions/was/gone/*":                         "1",
		"readlink .versions/was/link/" + dateName(3):       "to",
		"for v in .versions/file/*; do cat $v; echo; done": dateName(0) + "\n" + dateName(1),
		"stat -c %i:%Y .versions/file/" + dateName(1) + " " + dateName(1) + "/file":  sh(t, dir, "stat -c %i:%Y $1/file $1/file", dateName(1)),
		"find .versions -type d | sort | tail -2":                                    ".versions/was/gone\n.versions/was/link",
		"test ! -e .versions/nothing -a ! -e .versions/file/" + dateName(3) + "; ls": sh(t, dir, "ls"),
		"ls -A | grep -c versions || true":                                           "0",
	} {
		for range 2 {
			if got := sh(t, dir, script); got != want {
				t.Errorf("%s: %q, want %q", script, got, want)
			}
		}
	}
}
