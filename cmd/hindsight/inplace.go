package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/source"
)

// errDryRun ends a run before anything is done.
var errDryRun = errors.New("dry run")

// compareBack reads what was restored from the disk: by content nothing may differ.
func (o *restoreOptions) compareBack(ctx context.Context, j *job, opt extract.Options, target string) (err error) {
	disk, err := extract.OpenDisk(target, extract.DiskOptions{
		NumericOwner: o.numericOwner, NoOwnership: o.noOwnership, VerifyExisting: true, ReadBack: true,
	})
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	var wrong, right int64
	opt.Sink, opt.InPlace, opt.Extras = o.rename.place(disk, target, opt.Filter), true, extract.Extras{}
	opt.Differs = func(path string) {
		wrong++
		j.console.count("not restored", path, errors.New("the disk does not give back what was written"))
	}
	opt.Inspected = func(p *extract.Plan) error {
		right = p.Kept + p.Fixed
		return errDryRun
	}
	opt.Progress = new(extract.Progress)
	if _, err := extract.Run(ctx, opt); err != nil && !errors.Is(err, errDryRun) {
		return err
	}
	if wrong > 0 {
		return failf(exitFailure, "%s not on the disk as restored", isAre(int(wrong), "file"))
	}
	j.console.notice("Read %s back from the disk", plural(right, "file"))
	return nil
}

// checkInPlace refuses options that do not go together.
func (o *restoreOptions) checkInPlace() error {
	switch {
	case o.inPlace:
	case o.verifyExisting:
		return usagef("--verify-existing needs --in-place")
	case o.delete:
		return usagef("--delete needs --in-place")
	}
	if o.delete && len(o.rename.old) > 0 {
		return usagef("--delete does not go with --rename")
	}
	return nil
}

// inPlaceRun is a restore onto a tree that may be there.
type inPlaceRun struct {
	*restoreOptions
	job    *job
	disk   *extract.Disk
	opt    extract.Options
	target string
	root   string // the path of the backup that the target is
	extras []string

	forecast *forecast // of a dry run
}

// inspected is told what the run is going to do, and removes what is too much.
func (r *inPlaceRun) inspected(ctx context.Context, plan *extract.Plan) error {
	if r.delete {
		if err := r.findExtras(ctx); err != nil {
			return err
		}
	}
	if r.dryRun {
		return errors.Join(r.print(plan), errDryRun)
	}
	r.job.console.notice("%s to write, %s to correct, %s right already; %s to read",
		plural(plan.Files, "file"), plural(plan.Fixed, "file"), plural(plan.Kept, "file"), ibytes(plan.Read))
	if len(r.extras) == 0 {
		return nil
	}
	r.job.console.notice("Deleting %s that the backup does not have", plural(int64(len(r.extras)), "path"))
	for _, path := range slices.Backward(r.extras) { // children before parents
		if err := r.disk.Remove(path); err != nil {
			r.job.console.warn(path, fmt.Errorf("not deleted: %w", err))
		}
	}
	return nil
}

// findExtras finds what the target has and the backup has not, as far as the filter
// reaches. Where the backup has nothing of what is chosen, by a slip in a path say, all
// that the target has would be too much: that is an error.
func (r *inPlaceRun) findExtras(ctx context.Context) (err error) {
	if _, err := os.Lstat(r.target); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	tree, err := source.Open(source.Options{Root: r.target, Jobs: r.job.opt.jobs, Warn: func(w source.Warning) {
		r.job.console.warn(w.Path, w.Err)
	}})
	if err != nil {
		return fmt.Errorf("target: %w", err)
	}
	defer func() { err = errors.Join(err, tree.Close()) }()
	inBackup, inTarget := &noticed{Filter: r.opt.Filter}, afresh(r.opt.Filter)
	_, err = extract.CompareTree(ctx, extract.TreeOptions{
		Repository: r.opt.Repository, Sets: r.opt.Sets, Tree: tree, Filter: inBackup, Root: r.root,
		Data: func(string) bool { return false },
		Found: func(d extract.Difference) {
			if d.New && inTarget.Wants(pathBelow(r.root, d.Path), &d.Meta) == extract.Take {
				r.extras = append(r.extras, d.Path)
			}
		},
	})
	if err != nil {
		return err
	}
	if !inBackup.any || r.matchedNothing(r.opt.Filter) {
		return r.nothing(r.opt.Filter)
	}
	chosen, ok := r.opt.Filter.(chosenPaths)
	r.extras = slices.DeleteFunc(r.extras, func(path string) bool { return ok && !chosen.has(pathBelow(r.root, path)) })
	r.spareOwn()
	return nil
}

// spareOwn keeps the repository and its cache out of what is deleted, where they lie
// within the target: no backup has them.
func (r *inPlaceRun) spareOwn() {
	for what, own := range r.own {
		rel, inside := below(r.target, own)
		if !inside {
			continue
		}
		n := len(r.extras)
		r.extras = slices.DeleteFunc(r.extras, func(path string) bool {
			return within(path, rel) || within(rel, path)
		})
		if len(r.extras) < n {
			r.job.console.notice("Not deleting %s: it is the %s", shown(rel), what)
		}
	}
}

// within reports whether a clean path is root or below it.
func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, root+"/")
}

// noticed is a Filter that notes whether anything was chosen.
type noticed struct {
	extract.Filter
	any bool
}

// Wants implements extract.Filter.
func (n *noticed) Wants(path string, m *difftar.Meta) extract.Verdict {
	verdict := n.Filter.Wants(path, m)
	n.any = n.any || verdict == extract.Take
	return verdict
}

// afresh is the same Filter, which knows nothing of what it was asked before: what
// the target has is not found in the backup by it.
func afresh(f extract.Filter) extract.Filter {
	switch f := f.(type) {
	case chosenPaths:
		var c chosenPaths
		for _, p := range f {
			c = append(c, &chosenPath{Below: p.Below})
		}
		return c
	case *selected:
		return newSelected(f.sel)
	}
	return f
}

// pathBelow is the path of the backup that a path below a root of it is.
func pathBelow(root, path string) string {
	switch {
	case root == "":
		return path
	case path == "":
		return root
	}
	return root + "/" + path
}

// plannedRun is what a restore in place would do, as JSON. Sizes are in bytes.
type plannedRun struct {
	Type    string `json:"type"` // plan
	Files   int64  `json:"files"`
	Bytes   int64  `json:"bytes"` // at most
	Fixed   int64  `json:"files_corrected"`
	Kept    int64  `json:"files_kept"`
	Deleted int64  `json:"paths_deleted"`
	readPlan
}

// print lists the volumes that are read, as duplicity does, and what comes of them.
func (r *inPlaceRun) print(plan *extract.Plan) error {
	var errs []error
	for _, v := range plan.Volumes {
		errs = append(errs, r.forecast.printVolume(r.job, v.Key, v.Size))
	}
	for _, path := range r.extras {
		r.job.console.notice("would delete %s", shown(path))
	}
	read := r.forecast.plan(plan.Requests, plan.Read)
	if r.job.opt.json {
		p := plannedRun{"plan", plan.Files, plan.Bytes, plan.Fixed, plan.Kept, int64(len(r.extras)), read}
		return errors.Join(append(errs, r.job.printJSON(p))...)
	}
	r.job.console.notice("%s to write, %s at most; %s to correct, %s right already; %s to delete; %v",
		plural(plan.Files, "file"), ibytes(plan.Bytes), plural(plan.Fixed, "file"), plural(plan.Kept, "file"),
		plural(int64(len(r.extras)), "path"), read)
	r.forecast.tellCold(r.job)
	return errors.Join(errs...)
}
