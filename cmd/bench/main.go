// Bench measures whole backups and restores: hindsight against duplicity, restic and
// plain tools, on one corpus (hindsight/chain/treetest.Corpus), in memory where
// /dev/shm is a tmpfs, as disks are too noisy to compare on. Every tool has a cache and
// a home of its own beside its repository, rounds are interleaved tool by tool within
// each phase, and the medians are reported. The first round's restores are compared
// with their source.
//
// With --s3 the repositories are on a versitygw behind a link of --delay and --rate,
// made by hindsight/s3store/s3test.Shape, and the tools that do S3 take part.
//
// Tools that can are mounted at the end, walked through and copied by rsync, beside the
// same on a plain directory. Then ours reads one small file with nothing but its index at
// hand, and its mount is walked through with not even that.
//
// The chains that duplicity has made are restored by hindsight, too. A fresh full backup
// of the newest state says what a chain costs; how large its incrementals are beside its
// full is reported with that. With
//
//	go run ./cmd/bench --days 30 --edits 0.33 --restores 5 --only hindsight-gz,hindsight-gpg
//
// that is a chain of 31 sets whose incrementals together are a tenth of the full.
//
//	go run ./cmd/bench [--s3] [--rounds 3] [--scale 1] [--days 10] [--only hindsight-gz,restic]
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

type options struct {
	rounds int
	days   int     // of edits, an incremental after each
	share  float64 // of the usual edits of a day
	times  int     // that a restore of the newest state is measured in a round
	scale  float64
	only   []string
	binary string
	dir    string
	keep   bool
	s3     bool
	delay  time.Duration
	rate   int // Mbit/s
}

func main() {
	var o options
	pflag.IntVar(&o.rounds, "rounds", 3, "rounds to take medians of")
	pflag.IntVar(&o.days, "days", 10, "days of edits, each followed by a backup")
	pflag.Float64Var(&o.share, "edits", 1, "size of a day's edits; 1 is about 0.3 % of the corpus")
	pflag.IntVar(&o.times, "restores", 1, "restores of the newest state in a round: of the chain, and of a fresh full, in turn")
	pflag.Float64Var(&o.scale, "scale", 1, "size of the corpus; 1 is 631 MB in 40,402 files")
	pflag.StringSliceVar(&o.only, "only", nil, "names of the tools to run, of "+fmt.Sprint(o.toolNames()))
	pflag.StringVar(&o.binary, "hindsight", "", "the program to measure (default: build it)")
	pflag.StringVar(&o.dir, "dir", "", "folder to work in (default: /dev/shm if it is a tmpfs, else TMPDIR)")
	pflag.BoolVar(&o.keep, "keep", false, "keep the folder of the last round")
	pflag.BoolVar(&o.s3, "s3", false, "keep the repositories on an S3 server behind a network")
	pflag.DurationVar(&o.delay, "delay", 10*time.Millisecond, "of that network, one way")
	pflag.IntVar(&o.rate, "rate", 500, "of that network, in Mbit/s")
	pflag.Parse()
	if o.s3 && !pflag.CommandLine.Changed("days") {
		o.days = 1 // over a network one shows what there is to see
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := o.run
	if pflag.NArg() > 0 {
		run = func(context.Context) error { return chore(pflag.Args()) }
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) (err error) {
	if o.rounds < 1 || o.days < 1 || !(o.share > 0) || o.times < 1 || !(o.scale > 0) || o.rate < 1 {
		return errors.New("--rounds, --days, --edits, --restores, --scale and --rate must be positive")
	}
	work, err := os.MkdirTemp(o.base(), "hindsight-bench.")
	if err != nil {
		return err
	}
	if o.keep {
		fmt.Fprintln(os.Stderr, "working in", work)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	}
	if o.binary, err = o.program(ctx, work); err != nil {
		return err
	}
	tools, err := o.tools()
	if err != nil {
		return err
	}
	results := newResults(tools)
	for n := range o.rounds {
		r := round{options: o, dir: filepath.Join(work, "round"), verify: n == 0, tools: tools, results: results}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", n+1, o.rounds)
		if err := r.run(ctx); err != nil {
			return err
		}
		if !o.keep || n+1 < o.rounds {
			if err := os.RemoveAll(r.dir); err != nil {
				return err
			}
		}
	}
	return report(os.Stdout, o, machine(ctx, tools), results)
}

// base is the folder to work in.
func (o options) base() string {
	var fs unix.Statfs_t
	switch {
	case o.dir != "":
		return o.dir
	case unix.Statfs("/dev/shm", &fs) == nil && fs.Type == unix.TMPFS_MAGIC:
		return "/dev/shm"
	}
	return os.TempDir()
}

// program is the path of hindsight, which is built if none was given. Without any
// of our tools to run there is none.
func (o options) program(ctx context.Context, work string) (string, error) {
	if o.binary != "" {
		return filepath.Abs(o.binary)
	}
	if len(o.only) > 0 && !slices.ContainsFunc(o.only, isOurs) {
		return "", nil
	}
	path := filepath.Join(work, "hindsight")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "hindsight/cmd/hindsight")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build hindsight: %w\n%s", err, out)
	}
	return path, nil
}

// round is one run of all phases over all tools, from an empty folder.
type round struct {
	options
	dir     string
	verify  bool    // compare what was restored
	remote  *remote // nil: repositories are folders
	tools   []*tool
	results *results
}

func (r round) source() string { return filepath.Join(r.dir, "source") }

func (r round) run(ctx context.Context) (err error) {
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		return err
	}
	if r.s3 {
		if r.remote, err = newRemote(ctx, r.dir, r.link()); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.remote.close()) }()
	}
	if err := r.chore(ctx, "corpus", r.source(), strconv.FormatFloat(r.scale, 'g', -1, 64)); err != nil {
		return err
	}
	if err := r.chore(ctx, "record", r.source(), filepath.Join(r.dir, "first.tree")); err != nil {
		return err
	}
	for _, t := range r.tools {
		if err := t.prepare(ctx, r.dir, r.remote); err != nil {
			return err
		}
		defer t.stop()
	}
	for _, phase := range []func(context.Context, *tool) error{r.full, r.unchanged} {
		if err := r.each(ctx, phase); err != nil {
			return err
		}
	}
	for day := range r.days {
		if err := r.chore(ctx, "edit", r.source(), strconv.Itoa(day+1), strconv.FormatFloat(r.share, 'g', -1, 64)); err != nil {
			return err
		}
		edited := func(ctx context.Context, t *tool) error { return r.edits(ctx, t, day) }
		if err := r.each(ctx, edited); err != nil {
			return err
		}
	}
	if err := r.chore(ctx, "record", r.source(), filepath.Join(r.dir, "newest.tree")); err != nil {
		return err
	}
	if err := r.each(ctx, r.fresh); err != nil {
		return err
	}
	for range r.times {
		if err := r.each(ctx, r.restoreNewest); err != nil {
			return err
		}
	}
	for _, phase := range []func(context.Context, *tool) error{r.restoreFirst, r.browse, r.cold} {
		if err := r.each(ctx, phase); err != nil {
			return err
		}
	}
	return nil
}

func (r round) each(ctx context.Context, phase func(context.Context, *tool) error) error {
	for _, t := range r.tools {
		if err := phase(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// set makes a backup in a second of its own: times of sets are whole seconds.
func (r round) set(ctx context.Context, t *tool, p phase, c command, goesOn bool) error {
	if c == nil {
		return nil
	}
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
	return r.measure(ctx, t, p, c, goesOn)
}

// measure runs a command and notes what it took.
func (r round) measure(ctx context.Context, t *tool, p phase, c command, goesOn bool) error {
	up, down := r.remote.bytes()
	u, err := t.measure(ctx, c)
	if err != nil {
		return err
	}
	upNow, downNow := r.remote.bytes()
	u.link = max(upNow-up, downNow-down)
	r.results.add(t, p, u, goesOn)
	return nil
}

func (r round) full(ctx context.Context, t *tool) error {
	if err := r.set(ctx, t, full, t.full, false); err != nil {
		return err
	}
	t.first = time.Now().Unix()
	return r.results.addStored(t, full, t.repo)
}

func (r round) unchanged(ctx context.Context, t *tool) error {
	return r.set(ctx, t, unchanged, t.inc, false)
}

func (r round) edits(ctx context.Context, t *tool, day int) error {
	if t.frozen {
		return nil
	}
	if err := r.set(ctx, t, edits, t.inc, day > 0); err != nil {
		return err
	}
	return r.results.addStored(t, edits, t.repo)
}

// restoreNewest measures the restore from the chain and at once that from a fresh full:
// the machine is the same for both then.
func (r round) restoreNewest(ctx context.Context, t *tool) error {
	state := "newest"
	if t.frozen {
		state = "first"
	}
	if err := r.restore(ctx, t, restoreNewest, t.restoreNewest, state); err != nil {
		return err
	}
	return r.restore(ctx, t, restoreFresh, t.restoreFresh, state)
}

// fresh makes a full backup of the newest state in a repository of its own.
func (r round) fresh(ctx context.Context, t *tool) error {
	if t.fresh == nil {
		return nil
	}
	_, err := t.measure(ctx, t.fresh)
	return err
}

func (r round) restoreFirst(ctx context.Context, t *tool) error {
	return r.restore(ctx, t, restoreFirst, t.restoreFirst, "first")
}

// restore measures a restore into a new folder, compares it and removes it.
func (r round) restore(ctx context.Context, t *tool, p phase, c command, state string) error {
	if c == nil {
		return nil
	}
	if err := r.measure(ctx, t, p, c, false); err != nil {
		return err
	}
	if r.verify {
		dir := t.target
		if t.restored != nil {
			dir = t.restored(t)
		}
		if err := r.chore(ctx, "verify", dir, filepath.Join(r.dir, state+".tree")); err != nil {
			return err
		}
	}
	return os.RemoveAll(t.target)
}

// isOurs reports whether a tool is one of hindsight's.
func isOurs(name string) bool { return strings.HasPrefix(name, "hindsight-") }
