package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hindsight/chain/naming"
	"hindsight/index"
)

// findOptions are the options of find.
type findOptions struct {
	ignoreCase bool
}

func newFind(j *job) *cobra.Command {
	o := &findOptions{}
	return j.build(operation{
		use: "find URL PATTERN", short: "Find every version of a path in all backups",
		long: "Find every version of the paths that match PATTERN in all backups, the newest first: the times of the first and\n" +
			"the last backup that show it, then what list -l shows.\n\n" +
			"A PATTERN without a slash is that of a name, wherever it is; with one, of a whole path. * and ? stand for\n" +
			"parts of a name, [a-z] for one of these, ** for any number of directories.",
		example: "  hindsight find file:///srv/backup '*.conf'\n" +
			"  hindsight find file:///srv/backup 'etc/**/passwd*'",
		addFlags: o.addFlags,
		run:      func(ctx context.Context, args []string) error { return o.run(ctx, j, args[0], args[1]) },
	})
}

func (o *findOptions) addFlags(fs *pflag.FlagSet) {
	fs.BoolVarP(&o.ignoreCase, "ignore-case", "i", false, "take letters of either case for the same")
}

func (o *findOptions) run(ctx context.Context, j *job, url, arg string) (err error) {
	p, err := newPattern(arg, o.ignoreCase)
	if err != nil {
		return err
	}
	b, err := j.browse(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	out := bufio.NewWriter(j.env.Stdout)
	found := false
	for v, err := range b.index.Find(ctx, p.match) {
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		found = true
		if err := o.print(j, out, &v); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil || found {
		return err
	}
	return failf(exitNoPath, "nothing in any backup matches %q", arg)
}

// foundVersion is a version of a path as JSON.
type foundVersion struct {
	listed
	First string `json:"first"` // backups that show it; RFC 3339, in UTC
	Last  string `json:"last"`
}

func (o *findOptions) print(j *job, out *bufio.Writer, v *index.FoundVersion) error {
	first, last := v.Snapshot.Time, v.Last.Time
	if j.opt.json {
		return writeJSON(out, foundVersion{listedOf(v.Path, &v.Entry), rfc3339(first), rfc3339(last)})
	}
	name := v.Path
	if name == "" {
		name = "."
	}
	if j.env.StdoutTerminal {
		name = shown(name)
	}
	short := func(t naming.Time) string { return t.Time().In(j.env.Location).Format("2006-01-02 15:04:05") }
	_, err := fmt.Fprintf(out, "%s  %s  %s %s\n", short(first), short(last), j.longLine(&v.Entry), name)
	return err
}

// pattern matches paths component by component.
type pattern struct {
	parts []string // "**" is any number of components
	fold  bool
}

// newPattern reads a pattern; the error says what is wrong with it.
func newPattern(arg string, fold bool) (*pattern, error) {
	text := strings.TrimSuffix(strings.TrimPrefix(arg, "/"), "/")
	if fold {
		text = strings.ToLower(text)
	}
	if !strings.Contains(strings.TrimSuffix(arg, "/"), "/") {
		text = "**/" + text
	}
	p := &pattern{strings.Split(text, "/"), fold}
	for _, part := range p.parts {
		if _, err := path.Match(part, ""); err != nil || part == "" {
			return nil, usagef("PATTERN %q is malformed: a [ without its ], a \\ at the end, or nothing between slashes", arg)
		}
	}
	return p, nil
}

// match reports whether a path matches, and whether one below it may.
func (p *pattern) match(name string) (hit, below bool) {
	if name == "" {
		return false, true
	}
	if p.fold {
		name = strings.ToLower(name)
	}
	at := map[int]bool{0: true} // parts that the next component may be the first of
	for component := range strings.SplitSeq(name, "/") {
		next := make(map[int]bool)
		for i := range p.skip(at) {
			if i == len(p.parts) {
				continue
			}
			if p.parts[i] == "**" {
				next[i] = true
			} else if ok, _ := path.Match(p.parts[i], component); ok { // checked by newPattern
				next[i+1] = true
			}
		}
		at = next
	}
	at = p.skip(at)
	hit = at[len(p.parts)]
	delete(at, len(p.parts))
	return hit, len(at) > 0
}

// skip adds what is behind each "**", which may stand for nothing.
func (p *pattern) skip(at map[int]bool) map[int]bool {
	all := make(map[int]bool, len(at))
	for i := range at {
		for all[i] = true; i < len(p.parts) && p.parts[i] == "**"; i++ {
			all[i+1] = true
		}
	}
	return all
}
