package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// job is one run of one command: what all its parts share.
type job struct {
	env     Env
	opt     *common
	console *console
	command string // such as "hindsight restore"
	left    string // what is said of what a run that is interrupted leaves behind; "": nothing
}

// run executes a command line, without the program's name, and returns the exit
// code. It may be called any number of times in one process.
func run(ctx context.Context, env Env, args []string) int {
	j := &job{env: env, command: "hindsight", console: &console{out: env.Stderr, level: levelNotice}}
	root := newRoot(j)
	j.console.json = wantsJSON(args)
	args, err := route(root, args)
	if err == nil {
		root.SetArgs(args)
		err = root.ExecuteContext(ctx)
	}
	return j.report(ctx, err)
}

// wantsJSON says whether errors are objects before the options are parsed.
func wantsJSON(args []string) bool {
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	return slices.Contains(args, "--json") || slices.Contains(args, "--json=true")
}

// newRoot is the tree of commands. Help, completion and the parser come from it.
func newRoot(j *job) *cobra.Command {
	root := &cobra.Command{
		Use:   "hindsight",
		Short: "Backups in duplicity's format: fast to make, fast to restore, open to look into",
		Long: "Hindsight makes and restores backups in duplicity's format.\n\n" +
			"URL is a directory, as file:///absolute, file://relative or a bare path, or s3://bucket/prefix.\n" +
			"As with duplicity the command can be left out where just one of two arguments has a scheme:\n" +
			"SOURCE URL is a backup, and URL TARGET a restore. Options are named as duplicity names them.\n" +
			"Profiles (--profile NAME) are sets of a URL and options in hindsight/profiles.toml of the\n" +
			"user's configuration directory, or of /etc.\n\n" +
			"Exit codes: 0 done, 1 failed, 2 usage, 3 other host,\n" +
			"7 list unreadable, 11 target not empty, 12 nothing to compare with, 13 source missing, 14 to 16 and 70 to 73 selection, 17 no signatures,\n" +
			"19 path not in the backup, 20 no backup, 21 hash mismatch, 22 wrong signature, 23 locked,\n" +
			"31 cannot decrypt, 42 other source directory, 50 to 53 storage.",
		Version:       programVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
	}
	root.SetOut(j.env.Stdout)
	root.SetErr(j.env.Stderr)
	root.SetGlobalNormalizationFunc(normalize)
	root.SetVersionTemplate("{{.Version}}\n")
	root.Flags().Bool("version", false, "say which version this is") // cobra's own would take -v
	root.SetUsageFunc(usage(root.UsageFunc()))
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newBackup(j), newFull(j), newIncremental(j), newRestore(j), newMount(j), newVerify(j),
		newList(j), newFind(j), newDiff(j), newCat(j), newDump(j), newIndex(j), newStatus(j), newCleanup(j), newPolicy(j), newDoctor(j), newVersion(j), newMan(j, root))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd("completion")
	return root
}

// usage is cobra's, without pflag's remark at every switch that it can be true or
// false.
func usage(plain func(*cobra.Command) error) func(*cobra.Command) error {
	const remark = "[=true|false]"
	return func(c *cobra.Command) error {
		out := c.OutOrStdout()
		var text strings.Builder
		c.SetOut(&text)
		err := plain(c)
		c.SetOut(out)
		if err == nil {
			_, err = fmt.Fprint(out, strings.ReplaceAll(text.String(), remark, strings.Repeat(" ", len(remark))))
		}
		return err
	}
}

// operation is one command: its place in the tree, and what to do.
type operation struct {
	use      string // name and arguments: "restore URL TARGET"
	aliases  []string
	short    string
	long     string
	example  string
	writes   bool
	addFlags func(*pflag.FlagSet)
	run      func(ctx context.Context, args []string) error
}

// build makes the cobra command of an operation on a repository.
func (j *job) build(op operation) *cobra.Command {
	c := &cobra.Command{
		Use: op.use, Aliases: op.aliases, Short: op.short, Long: op.long, Example: op.example,
		DisableFlagsInUseLine: true,
		Args:                  cobra.ArbitraryArgs, // counted when the profile is known
	}
	name, places, _ := strings.Cut(op.use, " ")
	c.Use = name + " [flags] " + places
	fs := c.Flags()
	fs.SortFlags = false
	if op.addFlags != nil {
		op.addFlags(fs)
	}
	var own common // each command has defaults of its own
	own.addFlags(fs, op.writes)
	c.RunE = func(c *cobra.Command, args []string) error {
		j.command = c.CommandPath()
		if op.writes {
			j.left = "what was begun is ignored by every reader and removed by cleanup"
		}
		j.opt = &own
		return j.execute(c, args, strings.Fields(places), op.run)
	}
	return c
}

// execute applies what is common to all commands around one.
func (j *job) execute(c *cobra.Command, args, places []string, run func(context.Context, []string) error) (err error) {
	args, err = j.positional(c, args, places)
	if err != nil {
		return err
	}
	if err := j.opt.check(); err != nil {
		return err
	}
	j.console.json = j.opt.json
	j.console.level = int(j.opt.verbosity)
	if j.opt.quiet {
		j.console.level = levelError
	}
	if j.opt.tempDir != "" {
		if err := j.env.Setenv("TMPDIR", j.opt.tempDir); err != nil {
			return err
		}
	}
	before := debug.SetMemoryLimit(-1) // which GOMEMLIMIT may have set
	debug.SetMemoryLimit(min(before, heapLimit(int64(j.opt.memory))))
	defer debug.SetMemoryLimit(before)
	stop, err := startProfile(j.opt.cpuProfile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := run(c.Context(), args); err != nil {
		return err
	}
	n := j.console.warnings.Load()
	if n > 0 {
		j.console.notice("%s", plural(n, "warning"))
	}
	if n > 0 && j.opt.strict {
		return errQuiet(exitFailure)
	}
	return nil
}

// positional completes the arguments with the profile's URL and counts them.
func (j *job) positional(c *cobra.Command, args, places []string) ([]string, error) {
	url, err := j.applyProfile(c)
	if err != nil {
		return nil, err
	}
	required := len(places)
	if strings.HasPrefix(places[required-1], "[") {
		required--
	}
	if url != "" && (len(args) < required || len(args) == required && required < len(places) && !hasScheme(args[0])) {
		at := min(slices.Index(places, "URL"), len(args))
		args = slices.Insert(slices.Clone(args), at, url)
	}
	switch {
	case len(args) < required:
		return nil, usagef("missing %s", strings.Join(places[len(args):required], " and "))
	case len(args) > len(places):
		return nil, usagef("unexpected argument %q", hideUser(args[len(places)]))
	}
	return args, nil
}

// heapLimit is where the garbage collector begins to run more often instead of letting
// the heap double, for so much --memory; both in bytes. Resident are some 35 MiB more, of
// the program itself and what its runtime does not count, so that a run stays within the
// default. Of less a run's own data is a larger share: there it is above --memory, lest
// the collector run without end.
func heapLimit(memory int64) int64 {
	return max(memory-48<<20, min(memory+32<<20, memory/2+80<<20))
}

// startProfile begins to write a CPU profile, if a file for it is named.
func startProfile(name string) (stop func() error, err error) {
	if name == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// flagError names the command whose options are wrong, and the option that may have
// been meant.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if near := nearest(c.Flags(), unknown.GetSpecifiedName()); near != "" {
			err = fmt.Errorf("%w; did you mean --%s?", err, near)
		}
	}
	return &usageError{command: c.CommandPath(), err: err}
}

// nearest is the option whose name needs the fewest changes to become name, at most
// two.
func nearest(fs *pflag.FlagSet, name string) string {
	best, least := "", 3
	fs.VisitAll(func(f *pflag.Flag) {
		if d := distance(f.Name, name); d < least && !f.Hidden && len(name) > 2 {
			best, least = f.Name, d
		}
	})
	return best
}

// distance is the number of bytes to insert, delete or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for i := range row {
		row[i] = i
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for k := range len(b) {
			change := diagonal
			if a[i] != b[k] {
				change++
			}
			diagonal = row[k+1]
			row[k+1] = min(change, diagonal+1, row[k]+1)
		}
	}
	return row[len(b)]
}

// plural is a count with its noun.
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
