package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func newMan(j *job, root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the man pages into a directory",
		Long:    "Write the man pages, one for each command and one for all, into DIR. They say what --help says.",
		Example: "  hindsight man /usr/local/share/man/man1",
		RunE: func(c *cobra.Command, args []string) error {
			j.command = c.CommandPath()
			if len(args) != 1 {
				return usagef("want one DIR")
			}
			return writeMan(c.Context(), root, args[0])
		},
	}
}

// writeMan writes the page of a command and those of the commands below it.
func writeMan(ctx context.Context, c *cobra.Command, dir string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	if err := renameio.WriteFile(filepath.Join(dir, name+".1"), []byte(manPage(c, name)), 0o644); err != nil {
		if os.IsNotExist(err) {
			return failf(exitFailure, "directory %q does not exist; make it first", dir)
		}
		return err
	}
	for _, below := range c.Commands() {
		if below.Hidden || below.Name() == "help" || below.Name() == "completion" {
			continue
		}
		if err := writeMan(ctx, below, dir); err != nil {
			return err
		}
	}
	return nil
}

// manPage is a command's help in the language of man(7).
func manPage(c *cobra.Command, name string) string {
	c.InitDefaultHelpFlag()
	var b strings.Builder
	line := func(macro, text string) { fmt.Fprintf(&b, ".%s %s\n", macro, roff(text)) }
	fmt.Fprintf(&b, ".TH %s 1 \"\" hindsight\n", roff(strings.ToUpper(name)))
	b.WriteString(".SH NAME\n" + roff(name+" - "+c.Short) + "\n")
	b.WriteString(".SH SYNOPSIS\n")
	line("B", c.UseLine())
	if len(c.Aliases) > 0 {
		b.WriteString(".PP\n" + roff("Other names: "+strings.Join(c.Aliases, ", ")) + "\n")
	}
	if c.Long != "" {
		b.WriteString(".SH DESCRIPTION\n.nf\n" + roff(c.Long) + "\n.fi\n")
	}
	if c.HasAvailableSubCommands() {
		b.WriteString(".SH COMMANDS\n")
		for _, below := range c.Commands() {
			if below.IsAvailableCommand() {
				b.WriteString(".TP\n")
				line("B", below.Name())
				b.WriteString(roff(below.Short) + "\n")
			}
		}
	}
	b.WriteString(".SH OPTIONS\n")
	c.Flags().VisitAll(func(f *pflag.Flag) { manOption(&b, f) })
	if c.Example != "" {
		b.WriteString(".SH EXAMPLES\n.nf\n" + roff(c.Example) + "\n.fi\n")
	}
	return b.String()
}

func manOption(b *strings.Builder, f *pflag.Flag) {
	if f.Hidden {
		return
	}
	argument, text := pflag.UnquoteUsage(f)
	option := "--" + f.Name
	if f.Shorthand != "" {
		option = "-" + f.Shorthand + ", " + option
	}
	if argument != "" && f.NoOptDefVal == "" {
		option += " " + argument
	}
	fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(option), roff(text))
}

// roff is text without what means something to the formatter.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
