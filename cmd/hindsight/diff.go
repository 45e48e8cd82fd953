package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/spf13/cobra"

	"hindsight/chain/difftar"
	"hindsight/index"
)

func newDiff(j *job) *cobra.Command {
	return j.build(operation{
		use: "diff URL TIME [TIME]", short: "Show what differs between two backups",
		long: "Show what differs between the backups of two times, the second being the newest if none is given. Each line is\n" +
			"a path after one of + (it is new), - (it is gone), T (it is of another type), M (its content is another, or may be)\n" +
			"or U (owner, mode, time or what a link leads to is another). The exit code is 1 if there is any.",
		example: "  hindsight diff file:///srv/backup 3D\n" +
			"  hindsight diff file:///srv/backup 2026-11-01 2026-11-20",
		run: func(ctx context.Context, args []string) error {
			to := ""
			if len(args) > 2 {
				to = args[2]
			}
			return runDiff(ctx, j, args[0], args[1], to)
		},
	})
}

func runDiff(ctx context.Context, j *job, url, from, to string) (err error) {
	fromTime, err := j.moment(from)
	if err != nil {
		return err
	}
	toTime, err := j.stateTime(to)
	if err != nil {
		return err
	}
	b, err := j.browse(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	old, err := b.snapshotAt(j, fromTime)
	if err != nil {
		return err
	}
	recent, err := b.snapshotAt(j, toTime)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(j.env.Stdout)
	any := false
	for d, err := range differences(ctx, old, recent) {
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		any = true
		if err := d.print(j, out); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil || !any {
		return err
	}
	return errQuiet(exitFailure)
}

// difference is a path that is not the same in two snapshots.
type difference struct {
	mark string // + - T M U
	path string
}

func (d difference) print(j *job, out *bufio.Writer) error {
	if j.opt.json {
		o := struct {
			Type    string `json:"type"`
			Change  string `json:"change"`
			Path    string `json:"path"`
			PathB64 []byte `json:"path_b64,omitempty"`
		}{Type: "difference", Change: changes[d.mark]}
		o.Path, o.PathB64 = jsonPath(d.path)
		if d.path == "" {
			o.Path = "."
		}
		return writeJSON(out, o)
	}
	name := d.path
	if name == "" {
		name = "."
	}
	if j.env.StdoutTerminal {
		name = shown(name)
	}
	_, err := fmt.Fprintln(out, d.mark, name)
	return err
}

// changes are the marks in words.
var changes = map[string]string{"+": "added", "-": "removed", "T": "type", "M": "content", "U": "metadata"}

// walked is a path of a snapshot.
type walked struct {
	path  string
	entry index.Entry
}

// errStop ends a walk that nobody follows any more.
var errStop = errors.New("stop")

// walk yields the paths of a snapshot in their order.
func walk(ctx context.Context, s *index.Snapshot) iter.Seq2[walked, error] {
	return func(yield func(walked, error) bool) {
		err := s.Walk(ctx, index.Root, func(path string, e index.Entry) error {
			if !yield(walked{path, e}, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			yield(walked{}, err)
		}
	}
}

// differences walks two snapshots abreast.
func differences(ctx context.Context, old, recent *index.Snapshot) iter.Seq2[difference, error] {
	return func(yield func(difference, error) bool) {
		nextOld, stopOld := iter.Pull2(walk(ctx, old))
		defer stopOld()
		nextNew, stopNew := iter.Pull2(walk(ctx, recent))
		defer stopNew()
		a, errA, haveA := nextOld()
		b, errB, haveB := nextNew()
		for haveA || haveB {
			if err := errors.Join(errA, errB); err != nil {
				yield(difference{}, err)
				return
			}
			order := 0
			switch {
			case !haveB:
				order = -1
			case !haveA:
				order = 1
			default:
				order = difftar.Compare(a.path, b.path)
			}
			d := difference{mark: "-", path: a.path}
			switch {
			case order > 0:
				d = difference{"+", b.path}
			case order == 0:
				d.mark = compare(old, recent, &a.entry, &b.entry)
			}
			if d.mark != "" && !yield(d, nil) {
				return
			}
			if order <= 0 {
				a, errA, haveA = nextOld()
			}
			if order >= 0 {
				b, errB, haveB = nextNew()
			}
		}
	}
}

// compare says how a path differs; "" if it does not. A version has one number in all
// snapshots of its chain. Where contents cannot be compared, as one has no hash, files
// of the same size and time are taken for the same, as every backup does.
func compare(old, recent *index.Snapshot, a, b *index.Entry) string {
	switch {
	case old.Chain == recent.Chain && a.Changed == b.Changed, a.Implied, b.Implied:
		return ""
	case a.Type != b.Type:
		return "T"
	case a.Type == difftar.Regular && !sameContent(a, b):
		return "M"
	case a.Meta != b.Meta:
		return "U"
	}
	return ""
}

func sameContent(a, b *index.Entry) bool {
	if a.HasHash && b.HasHash {
		return a.Hash == b.Hash
	}
	if a.Size >= 0 && b.Size >= 0 && a.Size != b.Size {
		return false
	}
	return a.MTime == b.MTime
}
