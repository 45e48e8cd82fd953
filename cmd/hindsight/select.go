package main

import (
	"errors"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"hindsight/chain/selection"
)

// rules is the one list that --include, --exclude and their relatives fill, in the
// order of the command line.
type rules struct {
	list          []rule
	nullSeparator bool
}

// rule is an option of the command line whose file or time is not read yet.
type rule struct {
	option selection.Option
	arg    string
}

// selectionFlags are the options in the order of the help. Those that name no
// argument take none.
var selectionFlags = []struct {
	option selection.Option
	usage  string
}{
	{selection.ExcludeGlob, "leave out what matches `GLOB`; the first rule that matches decides"},
	{selection.IncludeGlob, "take what matches `GLOB`"},
	{selection.ExcludeRegexp, "leave out paths in which `REGEXP` is found"},
	{selection.IncludeRegexp, "take paths in which `REGEXP` is found"},
	{selection.ExcludeFilelist, "leave out what the globs in `FILE` match, one a line; + or - before one overrides"},
	{selection.IncludeFilelist, "take what the globs in `FILE` match, one a line; + or - before one overrides"},
	{selection.ExcludeIfPresent, "leave out directories that contain `NAME`"},
	{selection.ExcludeDevices, "leave out device files"},
	{selection.ExcludeOtherFS, "leave out other file systems than the source's"},
	{selection.ExcludeOlderThan, "leave out files last changed before `TIME`"},
	{selection.FilesFrom, "take only the paths listed in `FILE`, and the directories they are in"},
	{selection.FilterGlobbing, "what follows are globs (the default)"},
	{selection.FilterLiteral, "what follows are plain paths"},
	{selection.FilterRegexp, "what follows are regular expressions"},
	{selection.FilterIgnorecase, "what follows does not mind upper and lower case"},
	{selection.FilterStrictcase, "what follows minds upper and lower case (the default)"},
}

func (r *rules) addFlags(fs *pflag.FlagSet) {
	for _, f := range selectionFlags {
		v := &ruleValue{rules: r, option: f.option, plain: !strings.Contains(f.usage, "`")}
		flag := fs.VarPF(v, string(f.option), "", f.usage)
		if v.plain {
			flag.NoOptDefVal = "true"
		}
	}
	fs.BoolVar(&r.nullSeparator, "null-separator", false, "lists are separated by NUL bytes instead of line ends")
}

// ruleValue appends to the list each time its option is given.
type ruleValue struct {
	rules  *rules
	option selection.Option
	plain  bool
}

func (v *ruleValue) String() string { return "" }

func (v *ruleValue) Type() string {
	if v.plain {
		return "bool"
	}
	return "string"
}

func (v *ruleValue) Set(arg string) error {
	if v.plain && arg != "true" {
		return errors.New("takes no argument")
	}
	v.rules.list = append(v.rules.list, rule{v.option, arg})
	return nil
}

// compile reads files and times, and makes the selection; nil if there are no rules.
func (r *rules) compile(j *job, opt selection.Options) (*selection.Selection, error) {
	if len(r.list) == 0 {
		return nil, nil
	}
	opt.NullSeparator = r.nullSeparator
	var compiled []selection.Rule
	for _, in := range r.list {
		out := selection.Rule{Option: in.option, Value: in.arg}
		switch in.option {
		case selection.IncludeFilelist, selection.ExcludeFilelist, selection.FilesFrom:
			data, err := os.ReadFile(in.arg)
			if err != nil {
				return nil, failf(exitFilelist, "--%s: %w", in.option, err)
			}
			out.List = data
		case selection.ExcludeOlderThan:
			t, err := j.moment(in.arg)
			if err != nil {
				return nil, err
			}
			out.Before = int64(t)
		}
		compiled = append(compiled, out)
	}
	return selection.Compile(compiled, opt)
}
