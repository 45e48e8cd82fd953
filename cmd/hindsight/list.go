package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hindsight/chain/difftar"
	"hindsight/index"
)

// listOptions are the options of list.
type listOptions struct {
	time string
	long bool
}

func newList(j *job) *cobra.Command {
	o := &listOptions{}
	return j.build(operation{
		use: "list URL [PATH]", aliases: []string{"ls", "list-current-files"}, short: "List the files of a backup",
		long: "List the files of a backup, or those below PATH, as they were at a time: date and path, the root being \".\".\n" +
			"It is read from the index. Of backups that duplicity made, sizes are not known before their volumes were read.",
		example: "  hindsight list file:///srv/backup\n" +
			"  hindsight list -l --time 2026-11-20 file:///srv/backup etc",
		addFlags: o.addFlags,
		run: func(ctx context.Context, args []string) error {
			path := ""
			if len(args) > 1 {
				path = args[1]
			}
			return o.run(ctx, j, args[0], path)
		},
	})
}

func (o *listOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.time, "time", "t", "", "list the state at `TIME`: now, 3D (days ago), 2026-11-20, 20261120T030000Z, ...")
	fs.BoolVarP(&o.long, "long", "l", false, "show type, mode, owner, size and what links lead to, as ls -l does")
}

// run lists one state.
func (o *listOptions) run(ctx context.Context, j *job, url, arg string) (err error) {
	below, err := cleanPath(arg)
	if err != nil {
		return err
	}
	at, err := j.stateTime(o.time)
	if err != nil {
		return err
	}
	b, err := j.browse(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	snap, err := b.snapshotAt(j, at)
	if err != nil {
		return err
	}
	top, err := lookup(snap, below, arg)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(j.env.Stdout)
	err = snap.Walk(ctx, top.ID, func(path string, e index.Entry) error {
		if e.Implied { // nobody ever backed it up
			return nil
		}
		return o.print(j, out, path, &e)
	})
	return errors.Join(err, out.Flush())
}

// lookup finds a path in a snapshot; arg is how the user wrote it.
func lookup(s *index.Snapshot, path, arg string) (index.Entry, error) {
	e, err := s.LookupPath(path)
	if errors.Is(err, index.ErrNotExist) || errors.Is(err, index.ErrNotDir) {
		return e, failf(exitNoPath, "%q is not in the backup at that time; hindsight find looks into all backups", arg)
	}
	return e, err
}

// print writes one path.
func (o *listOptions) print(j *job, out *bufio.Writer, path string, e *index.Entry) error {
	if j.opt.json {
		return printEntry(out, path, e)
	}
	name := func(s string) string {
		if j.env.StdoutTerminal {
			return shown(s)
		}
		return s
	}
	if path == "" {
		path = "."
	}
	when := time.Unix(e.MTime, 0)
	if !o.long {
		_, err := fmt.Fprintf(out, "%s %s\n", j.asctime(when), name(path))
		return err
	}
	line := j.longLine(e) + " " + name(path)
	if e.Type == difftar.Symlink {
		line += " -> " + name(e.Linkname)
	}
	_, err := fmt.Fprintln(out, line)
	return err
}

// longLine is what ls -l shows before the name.
func (j *job) longLine(e *index.Entry) string {
	return fmt.Sprintf("%s %-8s %-8s %8s %s", modeText(e.Meta), owner(e.Uname, e.UID), owner(e.Gname, e.GID),
		sizeText(e), time.Unix(e.MTime, 0).In(j.env.Location).Format("2006-01-02 15:04:05"))
}

// sizeText is what ls -l has in the column of sizes. That of a file may not be known.
func sizeText(e *index.Entry) string {
	switch e.Type {
	case difftar.CharDevice, difftar.BlockDevice:
		return fmt.Sprintf("%d, %d", e.Major, e.Minor)
	case difftar.Regular, difftar.Symlink:
		if e.Size >= 0 {
			return fmt.Sprint(e.Size)
		}
	}
	return "-"
}

func owner(name string, id int64) string {
	if name != "" {
		return shown(name)
	}
	return fmt.Sprint(id)
}

// modeText is type and permissions as ls -l shows them.
func modeText(m difftar.Meta) string {
	b := []byte("?" + os.FileMode(m.Mode & 0o777).String()[1:])
	if c, ok := typeLetters[m.Type]; ok {
		b[0] = c
	}
	special := func(bit uint32, at int, set, unset byte) {
		switch {
		case m.Mode&bit == 0:
		case b[at] == 'x':
			b[at] = set
		default:
			b[at] = unset
		}
	}
	special(0o4000, 3, 's', 'S')
	special(0o2000, 6, 's', 'S')
	special(0o1000, 9, 't', 'T')
	return string(b)
}

var typeLetters = map[difftar.Type]byte{
	difftar.Regular: '-', difftar.Directory: 'd', difftar.Symlink: 'l',
	difftar.CharDevice: 'c', difftar.BlockDevice: 'b', difftar.Fifo: 'p',
}
