package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hindsight/chain/treetest"
	"hindsight/s3store/s3test"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		samples []float64
		want    float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 2}, 2}} {
		if got := median(test.samples); got != test.want {
			t.Errorf("median(%v) = %v, want %v", test.samples, got, test.want)
		}
	}
}

func TestReport(t *testing.T) {
	ours, peer := &tool{name: "hindsight-gz"}, &tool{name: "duplicity-gz"}
	r := newResults([]*tool{ours, peer})
	r.add(ours, full, usage{wall: time.Second, rss: 50 << 20}, false)
	r.add(peer, full, usage{wall: 10 * time.Second, rss: 90 << 20}, false)
	r.add(ours, restoreNewest, usage{wall: time.Second, rss: 1}, false)
	r.add(peer, restoreNewest, usage{wall: 3 * time.Second, rss: 1}, false)
	for day := range 3 {
		r.add(ours, edits, usage{wall: time.Second, rss: 60 << 20}, day > 0)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "volume"), make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.addStored(ours, full, dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "another"), make([]byte, 300<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := r.addStored(ours, edits, dir); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := report(&out, options{rounds: 1, scale: 1, days: 3, share: 0.5, dir: "/here"}, []string{"some machine"}, r); err != nil {
		t.Fatal(err)
	}
	squeezed := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"some machine scale 1, 3 days of 0.5 edits, medians of 1 rounds, folder /here",
		"seconds hindsight-gz duplicity-gz full backup 1.00 10.00 days of edits, in all 3.00 - restore, newest state 1.00 3.00",
		"stored, MiB hindsight-gz duplicity-gz full backup 3.0 - days of edits, in all 3.3 - hindsight-gz: what came after the full is 9.8 % of it peak",
		"full backup 50 90 days of edits, in all 60 -",
		"full backup seconds duplicity-gz / hindsight-gz 10.00 wanted 8.00 met",
		"restore, newest state seconds duplicity-gz / hindsight-gz 3.00 wanted 6.00 MISSED",
	} {
		if !strings.Contains(squeezed, want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
}

func TestChores(t *testing.T) {
	dir := t.TempDir()
	source, tree := filepath.Join(dir, "source"), filepath.Join(dir, "tree")
	for _, args := range [][]string{
		{"corpus", source, "0.001"}, {"edit", source, "1", "1"}, {"record", source, tree}, {"verify", source, tree},
	} {
		if err := chore(args); err != nil {
			t.Fatal(err)
		}
	}
	treetest.Write(t, source, treetest.File("more", ""), treetest.Dir(""))
	if err := chore([]string{"verify", source, tree}); err == nil || !strings.Contains(err.Error(), `"more": unexpected file`) {
		t.Errorf("got %v, want that there is a file more", err)
	}
	for _, args := range [][]string{{"corpus", source, "x"}, {"edit", source, "x", "1"}, {"edit", source, "1", "x"}, {"edit", source, "1"}, {"other", "", ""}, {"corpus"}} {
		if err := chore(args); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

// TestMeasure runs a program that holds 40 MB for a while, and one that fails.
func TestMeasure(t *testing.T) {
	path := treetest.NeedTool(t, "python3")
	python := &tool{name: "python", program: path, log: filepath.Join(t.TempDir(), "log")}
	run := func(code string) (usage, error) {
		return python.measure(t.Context(), func(*tool) []string { return []string{"-c", code} })
	}
	u, err := run("import time; b = b'x' * 40_000_000; time.sleep(0.1)")
	if err != nil {
		t.Fatal(err)
	}
	if u.wall < 100*time.Millisecond || u.rss < 40_000_000 {
		t.Errorf("%v and %d bytes, want more than 100ms and 40,000,000", u.wall, u.rss)
	}
	if _, err := run("print('what is wrong'); exit(3)"); err == nil || !strings.Contains(err.Error(), "what is wrong") {
		t.Errorf("got %v, want what the program said", err)
	}
}

// build makes the program.
func build(t *testing.T) string {
	t.Helper()
	bench := filepath.Join(t.TempDir(), "bench")
	if out, err := exec.Command("go", "build", "-o", bench, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bench
}

// TestRemoteRound takes a small round of one tool over a network.
func TestRemoteRound(t *testing.T) {
	if testing.Short() {
		t.Skip("restic stretches its passphrase for a second in every run")
	}
	treetest.NeedTool(t, "restic")
	if _, err := s3test.GatewayProgram(); err != nil {
		treetest.Missing(t, err.Error())
	}
	out, err := exec.Command(build(t), "--s3", "--delay", "1ms", "--rounds", "1", "--scale", "0.001", "--only", "restic", "--dir", t.TempDir()).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	squeezed := strings.Join(strings.Fields(string(out)), " ")
	for _, want := range []string{
		`S3 behind 1ms each way`, `seconds restic full backup \d+\.\d\d .* days of edits, in all \d`, `stored, MiB restic full backup \d+\.\d `,
		`over the network, MiB restic full backup \d`,
	} {
		if !regexp.MustCompile(want).MatchString(squeezed) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

// TestRound takes small rounds of the plain tools through all phases.
func TestRound(t *testing.T) {
	o := options{rounds: 1, scale: 0.001, only: []string{"tar", "cp", "find"}, dir: t.TempDir()}
	if tools, err := o.tools(); err != nil || len(tools) != 3 {
		t.Fatalf("%d tools, %v", len(tools), err)
	}
	bench := build(t)
	out, err := exec.Command(bench, "--rounds", "1", "--scale", "0.001", "--only", "tar,cp,find", "--dir", o.dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	squeezed := strings.Join(strings.Fields(string(out)), " ")
	for _, want := range []string{
		`seconds tar cp find full backup \d+\.\d\d - - `, `restore, newest state \d+\.\d\d \d+\.\d\d - `,
		`find in it, again - \d+\.\d\d - cat of one small file in it - \d+\.\d\d - ten rsyncs of it - \d+\.\d\d - `, `stored, MiB tar cp find full backup [1-9]\.\d - - `,
	} {
		if !regexp.MustCompile(want).MatchString(squeezed) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if left, err := os.ReadDir(o.dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if out, err := exec.Command(bench, "--only", "zip").CombinedOutput(); err == nil || !strings.Contains(string(out), "no such tool") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSplit finds every path of a tree in one list, and the lists of about one length.
func TestSplit(t *testing.T) {
	dir := t.TempDir()
	if err := treetest.Corpus(dir, 0.01); err != nil {
		t.Fatal(err)
	}
	lists, err := split(dir, rsyncs)
	if err != nil || len(lists) != rsyncs {
		t.Fatalf("%d lists, %v", len(lists), err)
	}
	paths := 0
	least, most := 1<<30, 0
	for _, list := range lists {
		n := 0
		for path := range strings.Lines(list) {
			err := filepath.WalkDir(filepath.Join(dir, strings.TrimSpace(path)), func(string, fs.DirEntry, error) error {
				n++
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		paths += n
		least, most = min(least, n), max(most, n)
	}
	all := 0
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, _ error) error {
		all++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if paths > all || paths < all-100 || most > 2*least { // but for directories that were cut
		t.Errorf("%d of %d paths, %d to %d in a list", paths, all, least, most)
	}
}

func TestReportRemote(t *testing.T) {
	ours, here := &tool{name: "hindsight-gz"}, &tool{name: "hindsight-near"}
	r := newResults([]*tool{ours, here})
	r.add(ours, full, usage{wall: 2 * time.Second, link: 100_000_000}, false)
	r.add(here, full, usage{wall: time.Second}, false)
	r.add(ours, restoreNewest, usage{wall: 2 * time.Second, link: 50_000_000}, false)
	r.add(here, restoreNewest, usage{wall: 1800 * time.Millisecond}, false)
	var out strings.Builder
	o := options{s3: true, rounds: 1, scale: 1, dir: "/here", rate: 500, delay: 10 * time.Millisecond}
	if err := report(&out, o, nil, r); err != nil {
		t.Fatal(err)
	}
	squeezed := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"S3 behind 10ms each way and 500 Mbit/s",
		"over the network, MiB hindsight-gz hindsight-near full backup 95.4 - ",
		"share of the link, % hindsight-gz hindsight-near full backup 80 - restore, newest state 40 -",
		"full backup 1.60 s of 2.00 s: 80 % wanted 85 % MISSED",
		"restore, newest state 1.80 s of 2.00 s: 90 % wanted 85 % met",
	} {
		if !strings.Contains(squeezed, want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
}
