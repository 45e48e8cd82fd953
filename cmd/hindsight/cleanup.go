package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hindsight/chain"
	"hindsight/chain/naming"
	"hindsight/chain/store"
)

func newCleanup(j *job) *cobra.Command {
	force := false
	return j.build(operation{
		use: "cleanup URL", aliases: []string{"cl"}, short: "Remove what interrupted backups left behind",
		long: "Remove what belongs to no backup that could be restored: sets that were interrupted, and those whose\n" +
			"basis is gone. Without --force they are only listed. Do not run it while another machine backs up to the same place.",
		example: "  hindsight cleanup file:///srv/backup\n  hindsight cleanup --force file:///srv/backup",
		addFlags: func(fs *pflag.FlagSet) {
			fs.BoolVar(&force, "force", false, "remove, instead of listing")
		},
		run: func(ctx context.Context, args []string) error { return runCleanup(ctx, j, args[0], force) },
	})
}

// remainsAge is how long an unfinished put must have been still to be taken for dead.
const remainsAge = 24 * time.Hour

// stray is an object to remove, as JSON.
type stray struct {
	Type    string `json:"type"` // stray
	Name    string `json:"name"`
	Size    int64  `json:"size"` // bytes
	Deleted bool   `json:"deleted"`
	remove  func(context.Context) error
}

// runCleanup lists or removes strays.
func runCleanup(ctx context.Context, j *job, url string, force bool) (err error) {
	how := reading
	if force {
		how = deleting
	}
	repo, err := j.open(url, how)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, repo.close()) }()
	strays, err := findStrays(ctx, j, repo)
	if err != nil {
		return err
	}
	if err := announce(j, strays, force); err != nil {
		return err
	}
	for _, s := range strays {
		if force {
			if err := s.remove(ctx); err != nil {
				return err
			}
		}
		if j.opt.json {
			s.Deleted = force
			err = j.printJSON(s)
		} else {
			_, err = fmt.Fprintln(j.env.Stdout, shown(s.Name))
		}
		if err != nil {
			return err
		}
	}
	if len(strays) > 0 && !force && !j.opt.json {
		_, err = fmt.Fprintln(j.env.Stdout, "Run hindsight again with the --force option to actually delete.")
	}
	return err
}

// announce begins the list with duplicity's words (duplicity-format.md §6.4).
func announce(j *job, strays []stray, force bool) error {
	these, files := "these", "files"
	if len(strays) == 1 {
		these, files = "this", "file"
	}
	text := fmt.Sprintf("Found the following %s to delete:", files)
	switch {
	case j.opt.json:
		return nil
	case len(strays) == 0:
		text = "No extraneous files found, nothing deleted in cleanup."
	case force:
		text = fmt.Sprintf("Deleting %s %s from backend:", these, files)
	}
	_, err := fmt.Fprintln(j.env.Stdout, text)
	return err
}

// checkPrefixes refuses to take a set for interrupted whose manifest is there under a
// name that the --file-prefix options do not tell: all of it would be removed.
func checkPrefixes(ctx context.Context, repo *repository, col *chain.Collection) error {
	incomplete := make(map[chain.SetID]bool)
	for _, s := range col.Incomplete {
		incomplete[s.SetID] = true
	}
	if len(incomplete) == 0 {
		return nil
	}
	for o, err := range repo.Store.List(ctx, repo.Scheme.ListPrefix()) {
		if err != nil {
			return err
		}
		at := strings.LastIndex(o.Name, "duplicity-")
		if at <= 0 {
			continue
		}
		n, ok := naming.Scheme{TimeSeparator: repo.Scheme.TimeSeparator}.Parse(o.Name[at:])
		if ok && n.Kind == naming.Manifest && !n.Partial && incomplete[chain.SetID{Inc: n.Inc, Start: n.Start, End: n.End}] {
			return usagef("%s belongs to a set that has no manifest of the name expected: "+
				"give the --file-prefix options that the backup was made with", shown(o.Name))
		}
	}
	return nil
}

// findStrays lists what can go, in the order in which it must: the manifest of a set
// before its volumes, so that no half set ever looks whole.
func findStrays(ctx context.Context, j *job, repo *repository) ([]stray, error) {
	col, err := chain.Load(ctx, repo.Store, repo.Scheme)
	if err != nil {
		return nil, err
	}
	if err := checkPrefixes(ctx, repo, col); err != nil {
		return nil, err
	}
	for _, s := range col.Incomplete {
		if len(s.Volumes) > 0 {
			j.console.notice("%s (%s): %s; %s", s.SetID, plural(int64(len(s.Volumes)), "volume"), problemIncomplete, adviceIncomplete)
		}
	}
	var strays []stray
	for _, s := range col.Strays() {
		strays = append(strays, strayObjects(repo, s)...)
	}
	remains, ok := repo.Store.(store.Remains)
	if !ok {
		return strays, nil
	}
	for o, err := range remains.ListRemains(ctx, j.env.Now().Add(-remainsAge)) {
		if errors.Is(err, store.ErrPermission) && repo.place.isS3() {
			// The right to it cannot be bound to a prefix, so that a node should not have it.
			j.console.notice("Unfinished uploads cannot be listed with these credentials: have the bucket's lifecycle abort them")
			break
		}
		if err != nil {
			return nil, err
		}
		strays = append(strays, stray{Type: "stray", Name: o.Name, Size: o.Size, remove: func(ctx context.Context) error {
			return remains.DeleteRemains(ctx, o.Name)
		}})
	}
	return strays, nil
}

// strayObjects lists a set's objects. Before the first of them goes it is looked up
// whether a set without a manifest has got one since: its run may have been going on.
func strayObjects(repo *repository, s *chain.Set) []stray {
	looked := s.Complete()
	var strays []stray
	for _, o := range s.Objects() {
		strays = append(strays, stray{Type: "stray", Name: o.Key, Size: o.Size, remove: func(ctx context.Context) error {
			if !looked {
				if err := checkUnfinished(ctx, repo, s); err != nil {
					return err
				}
				looked = true
			}
			return repo.Store.Delete(ctx, o.Key)
		}})
	}
	return strays
}

// checkUnfinished makes sure that a set still has no manifest.
func checkUnfinished(ctx context.Context, repo *repository, s *chain.Set) error {
	name := naming.Name{Kind: naming.Manifest, Inc: s.Inc, Start: s.Start, End: s.End}
	for o, err := range repo.Store.List(ctx, repo.Scheme.Format(name)) {
		if err != nil {
			return err
		}
		return failf(exitLocked, "%s was finished meanwhile, as %s shows; nothing of it was removed", s.SetID, o.Name)
	}
	return nil
}
