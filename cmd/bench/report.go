package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// phase is a row of the report.
type phase string

const (
	full          phase = "full backup"
	unchanged     phase = "backup without changes"
	edits         phase = "days of edits, in all"
	restoreNewest phase = "restore, newest state"
	restoreFresh  phase = "restore, newest state, of a fresh full"
	restoreFirst  phase = "restore, first state"
	mounted       phase = "mount until the tree is there"
	find          phase = "find in it, first"
	findAgain     phase = "find in it, again"
	catFile       phase = "cat of one small file in it"
	copied        phase = "ten rsyncs of it"
	oneFile       phase = "one small file by our cat, the index at hand"
	bareMount     phase = "mount, nothing at hand"
	bareList      phase = "mount and ls -l of the root, nothing at hand"
	bareFind      phase = "mount, ls and find, nothing at hand"
)

var phases = []phase{full, unchanged, edits, restoreNewest, restoreFresh, restoreFirst, mounted, find, findAgain, catFile, copied,
	oneFile, bareMount, bareList, bareFind}

// cell is what one tool did in one phase: a sample per round.
type cell struct {
	seconds []float64
	stored  []float64 // MiB in the repository at the end
	link    []float64 // MiB over the network
	rss     float64   // MiB, the most of all rounds
}

type results struct {
	tools []*tool
	cells map[string]*cell // by tool and phase
}

func newResults(tools []*tool) *results { return &results{tools: tools, cells: map[string]*cell{}} }

func (r *results) cell(tool string, p phase) *cell {
	key := tool + "/" + string(p)
	if r.cells[key] == nil {
		r.cells[key] = &cell{}
	}
	return r.cells[key]
}

// add takes the sample of a run; one that goes on adds to the sample before it, as
// the runs of ten days are one sample of a round.
func (r *results) add(t *tool, p phase, u usage, goesOn bool) {
	c := r.cell(t.name, p)
	if !goesOn {
		c.seconds, c.link = append(c.seconds, 0), append(c.link, 0)
	}
	c.seconds[len(c.seconds)-1] += u.wall.Seconds()
	c.link[len(c.link)-1] += float64(u.link) / (1 << 20)
	c.rss = max(c.rss, float64(u.rss)/(1<<20))
}

// addStored notes the size of the repository; the last note of a round counts.
func (r *results) addStored(t *tool, p phase, repo string) error {
	c := r.cell(t.name, p)
	if len(c.seconds) == 0 {
		return nil
	}
	bytes, err := stored(repo)
	if err != nil {
		return err
	}
	c.stored = append(c.stored[:len(c.seconds)-1], float64(bytes)/(1<<20))
	return nil
}

func median(samples []float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(samples))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// goal is a ratio that hindsight's design promises: of the peer's figure to ours.
type goal struct {
	phase      phase
	ours, peer string
	peerPhase  phase  // "": the same
	of         string // "seconds" or "MiB"
	least      float64
}

var goals = []goal{
	{full, "hindsight-gz", "duplicity-gz", "", "seconds", 8},
	{full, "hindsight-gpg", "duplicity-gpg", "", "seconds", 8},
	{full, "hindsight-gz", "restic", "", "seconds", 2.5},
	{full, "hindsight-gz", "tar", "", "seconds", 0},
	{full, "hindsight-gz", "duplicity-gz", "", "MiB", 1 / 1.02},
	{full, "hindsight-gpg", "duplicity-gpg", "", "MiB", 1},
	{unchanged, "hindsight-gz", "duplicity-gz", "", "seconds", 20},
	{unchanged, "hindsight-gpg", "duplicity-gpg", "", "seconds", 20},
	{unchanged, "hindsight-gz", "restic", "", "seconds", 10},
	{edits, "hindsight-gz", "duplicity-gz", "", "seconds", 0},
	{edits, "hindsight-gz", "restic", "", "seconds", 0},
	{edits, "hindsight-gz", "duplicity-gz", "", "MiB", 0},
	{edits, "hindsight-gz", "restic", "", "MiB", 0},
	{restoreNewest, "hindsight-gz", "duplicity-gz", "", "seconds", 6},
	{restoreNewest, "hindsight-gz", "restic", "", "seconds", 4},
	{restoreNewest, "hindsight-gz", "tar", "", "seconds", 2},
	{restoreNewest, "hindsight-gpg", "duplicity-gpg", "", "seconds", 0},
	{restoreNewest, "hindsight-gpg", "hindsight-gz", "", "seconds", 1 / 1.3},
	{restoreNewest, "hindsight-gz", "hindsight-gz", restoreFresh, "seconds", 1 / 1.15},
	{restoreNewest, "hindsight-gpg", "hindsight-gpg", restoreFresh, "seconds", 1 / 1.15},
	{restoreNewest, "hindsight-of-duplicity-gz", "duplicity-gz", "", "seconds", 4},
	{restoreNewest, "hindsight-of-duplicity-gpg", "duplicity-gpg", "", "seconds", 4},
	{restoreFirst, "hindsight-gz", "duplicity-gz", "", "seconds", 6},
	{restoreFirst, "hindsight-gz", "restic", "", "seconds", 4},
	{find, "hindsight-gz", "cp", "", "seconds", 0},
	{find, "hindsight-gz", "restic", "", "seconds", 0},
	{findAgain, "hindsight-gz", "cp", "", "seconds", 0},
	{copied, "hindsight-gz", "cp", "", "seconds", 1.0 / 2},
	{copied, "hindsight-gz", "restic", "", "seconds", 5},
}

// report writes all tables.
func report(w io.Writer, o options, machine []string, r *results) error {
	out := bufio.NewWriter(w)
	for _, line := range machine {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintf(out, "scale %g, %d days of %g edits, medians of %d rounds, folder %s\n", o.scale, o.days, o.share, o.rounds, o.base())
	if o.s3 {
		fmt.Fprintf(out, "S3 behind %v each way and %d Mbit/s\n", o.delay, o.rate)
	}
	r.table(out, "seconds", "%.2f", func(c *cell) float64 { return median(c.seconds) })
	r.table(out, "stored, MiB", "%.1f", func(c *cell) float64 { return median(c.stored) })
	r.incrementals(out)
	r.table(out, "peak memory of one process, MiB", "%.0f", func(c *cell) float64 { return c.rss })
	if o.s3 {
		r.overLink(out, o)
		r.ratios(out, remoteGoals)
	} else {
		r.ratios(out, goals)
	}
	return out.Flush()
}

func (r *results) table(w io.Writer, title, format string, value func(*cell) float64) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n%s\n", title)
	fmt.Fprint(tw, "\t")
	for _, t := range r.tools {
		fmt.Fprintf(tw, "%s\t", t.name)
	}
	fmt.Fprintln(tw)
	for _, p := range phases {
		row, empty := string(p)+"\t", true
		for _, t := range r.tools {
			if v := value(r.cell(t.name, p)); v > 0 {
				row, empty = row+fmt.Sprintf(format, v)+"\t", false
			} else {
				row += "-\t"
			}
		}
		if !empty {
			fmt.Fprintln(tw, row)
		}
	}
	_ = tw.Flush() // an error sticks to the writer below
}

// incrementals says how large the incrementals are: what a chain costs depends on it.
func (r *results) incrementals(w io.Writer) {
	for _, t := range r.tools {
		whole, all := median(r.cell(t.name, full).stored), median(r.cell(t.name, edits).stored)
		if whole > 0 && all > 0 {
			fmt.Fprintf(w, "%s: what came after the full is %.1f %% of it\n", t.name, (all-whole)/whole*100)
		}
	}
}

// ratios says how many times better ours is than each peer, and what is wanted.
func (r *results) ratios(w io.Writer, goals []goal) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\nratios (peer / ours; above 1 ours is better)\n")
	for _, g := range goals {
		ratio, ok := r.ratio(g)
		if !ok {
			continue
		}
		verdict := ""
		if g.least > 0 {
			verdict = fmt.Sprintf("wanted %.2f\tmet", g.least)
			if ratio < g.least {
				verdict = fmt.Sprintf("wanted %.2f\tMISSED", g.least)
			}
		}
		peer := g.peer
		if g.peerPhase != "" {
			peer += " (" + string(g.peerPhase) + ")"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s / %s\t%.2f\t%s\n", g.phase, g.of, peer, g.ours, ratio, verdict)
	}
	_ = tw.Flush() // an error sticks to the writer below
}

func (r *results) ratio(g goal) (float64, bool) {
	value := func(tool string, p phase) float64 {
		if g.of == "MiB" {
			return median(r.cell(tool, p).stored)
		}
		return median(r.cell(tool, p).seconds)
	}
	ours, peer := value(g.ours, g.phase), value(g.peer, cmp.Or(g.peerPhase, g.phase))
	return peer / ours, ours > 0 && peer > 0
}

// machine describes where and with what it was measured.
func machine(ctx context.Context, tools []*tool) []string {
	var name unix.Utsname
	_ = unix.Uname(&name) // leaves it empty
	lines := []string{
		time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		fmt.Sprintf("%d x %s, %s memory, Linux %s", runtime.NumCPU(), field("/proc/cpuinfo", "model name"),
			field("/proc/meminfo", "MemTotal"), unix.ByteSliceToString(name.Release[:])),
	}
	for _, t := range tools {
		out, err := exec.CommandContext(ctx, t.program, t.version...).CombinedOutput()
		first, _, _ := strings.Cut(string(out), "\n")
		if err != nil {
			first = "version unknown"
		}
		lines = append(lines, t.name+": "+first)
	}
	return lines
}

// field is the first value of that name in a file of "name: value" lines.
func field(file, name string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
