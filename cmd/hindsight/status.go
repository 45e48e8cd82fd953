package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"hindsight/chain"
	"hindsight/chain/naming"
)

func newStatus(j *job) *cobra.Command {
	return j.build(operation{
		use: "status URL", aliases: []string{"st", "collection-status"}, short: "Show the backups there are, and whether they are whole",
		long: "Show the chains of backups, their sets and sizes, and whether all that they need is there.\n\n" +
			"It needs no keys; but which volumes an encrypted set should have is known only with its passphrase\n" +
			"(PASSPHRASE, --passphrase-file, --key-file or --use-agent). With --strict it exits with code 1 if something is wrong.",
		example: "  hindsight status file:///srv/backup\n  hindsight status --json --strict file:///srv/backup",
		run: func(ctx context.Context, args []string) error {
			return runStatus(ctx, j, args[0])
		},
	})
}

// runStatus shows one repository.
func runStatus(ctx context.Context, j *job, url string) (err error) {
	j.env.Prompt = nil // a look at the status asks nothing
	repo, err := j.open(url, reading)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, repo.close()) }()
	col, err := chain.Load(ctx, repo.Store, repo.Scheme)
	if err != nil {
		return err
	}
	h, err := j.examine(ctx, repo, col)
	if err != nil {
		return err
	}
	if h.Wrong != nil { // nothing else shows that what was given is of no use
		_, hint := judge(h.Wrong)
		j.console.warn("", fmt.Errorf("%w; %s", h.Wrong, hint))
	}
	if j.opt.json {
		err = j.printJSON(describe(col, h))
	} else {
		out := bufio.NewWriter(j.env.Stdout)
		j.printStatus(out, url, repo, col)
		h.print(out, col)
		err = out.Flush()
	}
	if err == nil && j.opt.strict && len(h.Problems) > 0 {
		return errQuiet(exitFailure)
	}
	return err
}

const rule25 = "-------------------------\n"

// printStatus prints what duplicity prints (duplicity-format.md §6.2).
func (j *job) printStatus(out *bufio.Writer, url string, repo *repository, col *chain.Collection) {
	last := "none"
	if t := lastFull(col); t != 0 {
		last = j.asctime(t.Time())
	}
	fmt.Fprintf(out, "Last full backup date: %s\nCollection Status\n-----------------\n", last)
	fmt.Fprintf(out, "Connecting with backend: %s\nArchive dir: %s\n\n", shown(url), shown(repo.cache))
	primary := matched(col)
	secondary := slices.DeleteFunc(slices.Clone(col.Chains), func(c *chain.Chain) bool { return c == primary })
	fmt.Fprintf(out, "Found %s.\n", plural(int64(len(secondary)), "secondary backup chain"))
	for i, ch := range secondary {
		fmt.Fprintf(out, "Secondary chain %d of %d:\n", i+1, len(secondary))
		j.printChain(out, ch)
		fmt.Fprint(out, "\n")
	}
	if primary == nil {
		fmt.Fprint(out, "No backup chains with active signatures found\n")
	} else {
		fmt.Fprint(out, "\nFound primary backup chain with matching signature chain:\n")
		j.printChain(out, primary)
	}
	orphans, incomplete := int64(len(col.Orphans)), int64(len(col.Incomplete))
	if orphans+incomplete == 0 {
		fmt.Fprint(out, "No orphaned or incomplete backup sets found.\n")
		return
	}
	fmt.Fprintf(out, "Also found %s not part of any chain,\nand %s.\n", plural(orphans, "backup set"), plural(incomplete, "incomplete backup set"))
	fmt.Fprint(out, "These may be deleted by running hindsight with the \"cleanup\" command.\n")
}

func (j *job) printChain(out *bufio.Writer, ch *chain.Chain) {
	volumes := 0
	for _, s := range ch.Sets {
		volumes += len(s.Volumes)
	}
	fmt.Fprintf(out, rule25+"Chain start time: %s\nChain end time: %s\n", j.asctime(ch.Start().Time()), j.asctime(ch.End().Time()))
	fmt.Fprintf(out, "Number of contained backup sets: %d\nTotal number of contained volumes: %d\n", len(ch.Sets), volumes)
	row := func(kind, when, count string) { fmt.Fprintf(out, "%20s   %30s   %15s\n", kind, when, count) }
	row("Type of backup set:", "Time:", "Num volumes:")
	for _, s := range ch.Sets {
		kind := "Full"
		if s.Inc {
			kind = "Incremental"
		}
		row(kind, j.asctime(s.End.Time()), fmt.Sprint(len(s.Volumes)))
	}
	fmt.Fprint(out, rule25)
}

// matched is the chain that the next incremental would continue, nil if none
// (duplicity-format.md §5.1).
func matched(col *chain.Collection) *chain.Chain {
	ch := col.Latest()
	if ch == nil {
		return nil
	}
	if n := len(ch.Signed()); n == 0 || n < len(ch.Sets)-1 {
		return nil
	}
	return ch
}

// lastFull is the time of the newest full backup, 0 if there is none.
func lastFull(col *chain.Collection) naming.Time {
	var last naming.Time
	for _, ch := range col.Chains {
		last = max(last, ch.Start())
	}
	return last
}
