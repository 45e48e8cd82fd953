package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// route puts the command word first. duplicity takes options before it, and goes
// without it where the order of path and URL says what is meant (duplicity-format.md
// §6): PATH URL is a backup and URL PATH a restore.
func route(root *cobra.Command, args []string) ([]string, error) {
	if len(args) > 0 && strings.HasPrefix(args[0], "__complete") {
		return args, nil
	}
	args = joinRename(joinProgress(args))
	words := newGrammar(root).positions(args)
	if len(words) == 0 {
		return append([]string{}, args...), nil // never nil: cobra would take the process's own
	}
	first := args[words[0]]
	if c := find(root, first); c != nil {
		above := c
		if first == "help" {
			above = root
		}
		if above.HasSubCommands() && len(words) > 1 && find(above, args[words[1]]) == nil {
			return nil, unknownCommand(above, args[words[1]])
		}
		if c.HasSubCommands() && len(words) > 1 {
			args = moveFirst(args, words[1])
			return moveFirst(args, words[0]+1), nil
		}
		return moveFirst(args, words[0]), nil
	}
	if isMissing[first] {
		err := fmt.Errorf("this version has no %s; duplicity %[1]s works on the same repository", first)
		return nil, &usageError{command: "hindsight", err: err}
	}
	near := nearCommand(root, first)
	implied := len(words) == 2 && hasScheme(first) != hasScheme(args[words[1]])
	if implied && (near == "" || exists(first)) {
		command := "backup"
		if hasScheme(first) {
			command = "restore"
		} else if !exists(first) && !strings.Contains(first, "/") {
			return nil, failf(exitNoSource, "%q is neither a command nor a source that exists; hindsight --help lists the commands", hideUser(first))
		}
		return append([]string{command}, args...), nil
	}
	return nil, unknownCommand(root, first)
}

// unknownCommand is the error of a word that is no command below c.
func unknownCommand(c *cobra.Command, word string) error {
	err := fmt.Errorf("unknown command %q", hideUser(word))
	if near := nearCommand(c, word); near != "" {
		err = fmt.Errorf("%w; did you mean %s?", err, near)
	}
	return &usageError{command: c.CommandPath(), err: err}
}

// isMissing has the commands of duplicity that are not here.
var isMissing = map[string]bool{
	"replicate":         true,
	"remove-older-than": true, "remove-all-but-n-full": true, "remove-all-inc-of-but-n-full": true,
}

// nearCommand is the name or long alias of a command that word may be a slip for.
func nearCommand(root *cobra.Command, word string) string {
	best, least := "", 3
	for _, c := range root.Commands() {
		for _, name := range append([]string{c.Name()}, c.Aliases...) {
			if d := distance(name, word); len(name) > 2*d && d < least {
				best, least = name, d
			}
		}
	}
	return best
}

// find is the command of that name or alias, or nil.
func find(root *cobra.Command, name string) *cobra.Command {
	for _, c := range root.Commands() {
		if c.Name() == name || c.HasAlias(name) {
			return c
		}
	}
	return nil
}

func moveFirst(args []string, i int) []string {
	moved := append([]string{args[i]}, args[:i]...)
	return append(moved, args[i+1:]...)
}

// joinProgress makes one argument of "--progress MODE": as in duplicity the mode can
// be left away, so that the parser takes it only behind "=".
func joinProgress(args []string) []string {
	var joined []string
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--":
			return append(joined, args[i:]...)
		case args[i] == "--progress" && i+1 < len(args) && slices.Contains(progressModes, args[i+1]):
			joined = append(joined, "--progress="+args[i+1])
			i++
		default:
			joined = append(joined, args[i])
		}
	}
	return joined
}

// joinRename makes one argument of "--rename OLD NEW": the parser knows no option of
// two values. No argument has a NUL of its own.
func joinRename(args []string) []string {
	var joined []string
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--":
			return append(joined, args[i:]...)
		case args[i] == "--rename" && i+2 < len(args):
			joined = append(joined, "--rename="+args[i+1]+"\x00"+args[i+2])
			i += 2
		default:
			joined = append(joined, args[i])
		}
	}
	return joined
}

// grammar says which options take a value, over all commands: an option that two
// commands have is the same in both.
type grammar struct {
	long  map[string]bool
	short map[string]bool
}

func newGrammar(root *cobra.Command) grammar {
	g := grammar{long: make(map[string]bool), short: make(map[string]bool)}
	for _, c := range root.Commands() {
		g.add(c)
		for _, sub := range c.Commands() {
			g.add(sub)
		}
	}
	return g
}

func (g grammar) add(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		g.long[f.Name] = f.NoOptDefVal == ""
		if f.Shorthand != "" {
			g.short[f.Shorthand] = f.NoOptDefVal == ""
		}
	})
}

// positions are the indexes of the arguments that are neither options nor their
// values.
func (g grammar) positions(args []string) []int {
	var at []int
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			for i++; i < len(args); i++ {
				at = append(at, i)
			}
		case strings.HasPrefix(arg, "--"):
			name, _, joined := strings.Cut(arg[2:], "=")
			if !joined && g.long[string(normalize(nil, name))] {
				i++
			}
		case len(arg) > 1 && arg[0] == '-':
			if g.shortTakesNext(arg[1:]) {
				i++
			}
		default:
			at = append(at, i)
		}
	}
	return at
}

// shortTakesNext reports whether the last of joined short options has its value in
// the next argument.
func (g grammar) shortTakesNext(letters string) bool {
	for i := range len(letters) {
		if g.short[letters[i:i+1]] {
			return i == len(letters)-1
		}
	}
	return false
}
