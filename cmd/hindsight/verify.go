package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hindsight/chain"
	"hindsight/chain/extract"
	"hindsight/chain/selection"
	"hindsight/chain/source"
)

// verifyOptions are the options of verify.
type verifyOptions struct {
	rules        rules
	time         string
	path         string
	compareData  bool
	numericOwner bool
}

func newVerify(j *job) *cobra.Command {
	o := &verifyOptions{}
	return j.build(operation{
		use: "verify URL [SOURCE]", aliases: []string{"vb"}, short: "Check a backup, and compare it with a directory",
		long: "Check a backup: read all its volumes and signatures, and compare every file's content at TIME with its signature.\n\n" +
			"With SOURCE its paths are counted beside those of the backup, and with --compare-data both are compared: type,\n" +
			"owner, mode, time, link, device and content. Differences are lines on standard output.\n" +
			"What of the backup cannot be restored is named, as restore --ignore-errors does it. The exit code is 1 if there are\n" +
			"differences or something is lost, 21 if a volume is not what was stored.",
		example: "  hindsight verify file:///srv/backup\n" +
			"  hindsight verify --compare-data --exclude '**/tmp' file:///srv/backup /home",
		addFlags: o.addFlags,
		run: func(ctx context.Context, args []string) error {
			tree := ""
			if len(args) > 1 {
				tree = args[1]
			}
			return o.run(ctx, j, args[0], tree)
		},
	})
}

func (o *verifyOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.time, "time", "t", "", "check the state at `TIME`: now, 3D (days ago), 2026-11-20, 20261120T030000Z, ...")
	fs.StringVarP(&o.path, "path-to-restore", "r", "", "check only `PATH` of the backup, which SOURCE stands for")
	fs.BoolVar(&o.compareData, "compare-data", false, "compare with SOURCE, do not only count")
	fs.BoolVar(&o.numericOwner, "numeric-owner", false, "compare owners by number, not by name")
	o.rules.addFlags(fs)
}

// verification is one run of verify.
type verification struct {
	*verifyOptions
	job    *job
	tree   string // "": there is none
	repo   *repository
	sets   []*chain.Set
	filter extract.Filter
	root   string

	mu        sync.Mutex
	different map[string]bool // files whose content is not that of the tree
	worst     error           // of what is lost
}

func (o *verifyOptions) run(ctx context.Context, j *job, url, tree string) (err error) {
	v := &verification{verifyOptions: o, job: j, tree: tree, different: make(map[string]bool)}
	if err := v.check(url); err != nil {
		return err
	}
	sel, err := v.choose(url)
	if err != nil {
		return err
	}
	at, err := j.stateTime(o.time)
	if err != nil {
		return err
	}
	if v.repo, err = j.open(url, reading); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, v.repo.close()) }()
	v.repo.SignKey = j.opt.signKey
	if v.sets, err = j.state(ctx, v.repo, at); err != nil {
		return err
	}
	j.console.notice("Checking the state of %s (%s)", stamp(v.sets[len(v.sets)-1].End), composition(v.sets))
	result, err := v.extract(ctx)
	if err != nil {
		return err
	}
	differences, compared, err := v.compareTree(ctx, sel)
	if err != nil {
		return err
	}
	return v.conclude(result, compared, differences)
}

// check refuses what is plainly a mistake.
func (v *verification) check(url string) error {
	switch {
	case hasScheme(url) && hasScheme(v.tree):
		return usagef("SOURCE %q is a URL: write the path of a directory", hideUser(v.tree))
	case hasScheme(v.tree):
		return usagef("SOURCE %q is a URL: the URL comes first, then the directory", hideUser(v.tree))
	case v.tree == "" && v.compareData:
		return usagef("--compare-data needs a SOURCE to compare with")
	case v.path != "" && len(v.rules.list) > 0:
		return usagef("--path-to-restore does not go with --include, --exclude and their like")
	case v.tree == "":
		return nil
	}
	_, err := os.Stat(v.tree)
	if errors.Is(err, fs.ErrNotExist) {
		return failf(exitNoTree, "%q, which the backup is to be compared with, does not exist", v.tree)
	}
	return err
}

// choose finds what to check of the backup, and of the tree.
func (v *verification) choose(url string) (sel *selection.Selection, err error) {
	v.filter = extract.Everything{}
	if v.path != "" {
		if v.root, err = cleanPath(v.path); err != nil {
			return nil, err
		}
		v.filter = extract.Below(v.root)
	}
	if v.tree != "" {
		if err := v.rules.leaveOutOwn(v.job, v.tree, url); err != nil {
			return nil, err
		}
		sel, err = v.rules.compile(v.job, selection.Options{Root: v.tree})
	} else {
		sel, err = v.rules.compile(v.job, selection.Options{Relative: true})
	}
	if err == nil && sel != nil && v.path == "" {
		v.filter = newSelected(sel)
	}
	return sel, err
}

// extract runs the engine over the backup.
func (v *verification) extract(ctx context.Context) (result extract.Result, err error) {
	j := v.job
	opt := extract.Options{
		Repository: &v.repo.Repository, Sets: v.sets, Filter: v.filter, Sink: extract.Nowhere{},
		Check: true, IgnoreErrors: true, Lost: v.lost,
		Jobs: j.opt.jobs, Memory: int64(j.opt.memory) / 4, Ahead: int64(j.opt.memory) / 4,
		Log: j.console.logger(), Progress: new(extract.Progress),
	}
	if v.compareData {
		compare, cerr := extract.NewCompare(v.tree, v.differs)
		if cerr != nil {
			return result, cerr
		}
		defer func() { err = errors.Join(err, compare.Close()) }()
		opt.Sink = &placed{sink: compare, root: v.root, renames: &renames{}}
	}
	stop := j.watchExtract(ctx, "checking", opt.Progress)
	defer stop()
	return extract.Run(ctx, opt)
}

func (v *verification) differs(path string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.different[path] = true
}

// lost tells of a path that cannot be restored, and notes which exit code that means.
func (v *verification) lost(path string, err error) {
	if v.worst == nil || errors.Is(err, chain.ErrHash) {
		v.worst = err
	}
	v.job.lost(path, err)
}

// compareTree compares all but contents, and prints the differences.
func (v *verification) compareTree(ctx context.Context, sel *selection.Selection) (differences, compared int64, err error) {
	if v.tree == "" {
		return 0, 0, nil
	}
	tree, err := source.Open(source.Options{Root: v.tree, Select: sel, Jobs: v.job.opt.jobs, Logger: v.job.console.logger(), Warn: func(w source.Warning) {
		v.job.console.warn(w.Path, w.Err)
	}})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	var failed error
	compared, err = extract.CompareTree(ctx, extract.TreeOptions{
		Repository: &v.repo.Repository, Sets: v.sets, Tree: tree, Filter: v.filter, Root: v.root,
		NumericOwner: v.numericOwner, Location: v.job.env.Location,
		Data: func(path string) bool { return v.different[path] },
		Found: func(d extract.Difference) {
			if v.compareData {
				differences++
				failed = errors.Join(failed, v.print(d))
			}
		},
	})
	if v.worst != nil && err != nil { // of damage all was said
		err = nil
	}
	return differences, compared, errors.Join(err, failed)
}

// foundDifference is a difference as JSON.
type foundDifference struct {
	Type    string `json:"type"` // difference
	Path    string `json:"path"`
	PathB64 []byte `json:"path_b64,omitempty"` // where the path is not UTF-8
	Text    string `json:"text"`
}

func (v *verification) print(d extract.Difference) error {
	if v.job.opt.json {
		path, raw := jsonPath(d.Path)
		return v.job.printJSON(foundDifference{"difference", path, raw, oneLine(d.Text)})
	}
	_, err := fmt.Fprintf(v.job.env.Stdout, "Difference found: %s\n", oneLine(d.Text))
	return err
}

// verified is what a verification found, as JSON.
type verified struct {
	Type        string    `json:"type"`  // verify
	Time        time.Time `json:"time"`  // of the newest set
	Files       int64     `json:"files"` // regular files whose content is right
	Bytes       int64     `json:"bytes"`
	Compared    int64     `json:"paths_compared"`
	Differences int64     `json:"differences"`
	Lost        int64     `json:"lost"`
}

// conclude says how it ended, in duplicity's words where it has some.
func (v *verification) conclude(r extract.Result, compared, differences int64) error {
	j := v.job
	if v.path != "" && !r.Found && r.Lost == 0 {
		return failf(exitNoPath, "%q is not in the backup at that time; hindsight list shows what is", v.path)
	}
	if j.opt.json {
		out := verified{
			Type: "verify", Time: v.sets[len(v.sets)-1].End.Time().UTC(), Files: r.Files, Bytes: r.Bytes,
			Compared: compared, Differences: differences, Lost: r.Lost,
		}
		if err := j.printJSON(out); err != nil {
			return err
		}
	} else {
		j.console.notice("Checked %s, %s", plural(r.Files, "file"), ibytes(r.Bytes))
		if v.tree != "" {
			if _, err := fmt.Fprintf(j.env.Stdout, "Verify complete: %d files compared, %d differences found.\n", compared, differences); err != nil {
				return err
			}
		}
	}
	switch {
	case errors.Is(v.worst, chain.ErrHash):
		return failf(exitHash, "the backup is damaged; restore --ignore-errors saves what it can")
	case v.worst != nil:
		return failf(exitFailure, "the backup is damaged; restore --ignore-errors saves what it can")
	case differences > 0:
		return errQuiet(exitFailure)
	}
	return nil
}
