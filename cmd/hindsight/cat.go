package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hindsight/chain/difftar"
)

// catOptions are the options of cat.
type catOptions struct{ time string }

func newCat(j *job) *cobra.Command {
	o := &catOptions{}
	return j.build(operation{
		use: "cat URL PATH", short: "Write one file of a backup to standard output",
		long: "Write one file of a backup, as it was at a time, to standard output. Only what holds its bytes is fetched.",
		example: "  hindsight cat file:///srv/backup etc/fstab\n" +
			"  hindsight cat --time 3D file:///srv/backup var/db/dump.sql | mysql",
		addFlags: o.addFlags,
		run:      func(ctx context.Context, args []string) error { return o.run(ctx, j, args[0], args[1]) },
	})
}

func (o *catOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.time, "time", "t", "", "write the state at `TIME`: now, 3D (days ago), 2026-11-20, 20261120T030000Z, ...")
}

func (o *catOptions) run(ctx context.Context, j *job, url, arg string) (err error) {
	path, err := cleanPath(arg)
	if err != nil {
		return err
	}
	r, err := j.openReader(ctx, url, o.time)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	e, err := lookup(r.snapshot, path, arg)
	switch {
	case err != nil:
		return err
	case e.Type != difftar.Regular:
		return failf(exitFailure, "%q is no file but a %v; dump writes directories", arg, e.Type)
	}
	out := bufio.NewWriterSize(j.env.Stdout, copyChunk)
	if err := r.copy(ctx, out, &e); err != nil {
		return fmt.Errorf("%s: %w", shown(path), err)
	}
	return out.Flush()
}
