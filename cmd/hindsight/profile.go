package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A profile is a named set of a URL and options:
//
//	[nightly]
//	url = "file:///srv/backup"
//	full-if-older-than = "1M"
//	exclude = ["**/cache", "**/tmp"]
//
// It is looked for in hindsight/profiles.toml of the user's configuration directory,
// then in /etc. Options of the command line win; rules of selection come after those
// of the command line, in the order of the file. An option that only other commands
// have is passed over, so that one profile serves all commands.
type profile struct {
	url     string
	options []option
}

type option struct {
	name   string
	values []string
}

const profileFile = "hindsight/profiles.toml"

// applyProfile sets the options of --profile, and returns its URL.
func (j *job) applyProfile(c *cobra.Command) (url string, err error) {
	name := j.opt.profile
	if name == "" {
		return "", nil
	}
	p, err := j.findProfile(name)
	if err != nil {
		return "", err
	}
	all := newGrammar(c.Root())
	fs := c.Flags()
	given := make(map[string]bool)
	fs.Visit(func(f *pflag.Flag) { given[f.Name] = true })
	for _, o := range p.options {
		key := string(normalize(nil, o.name))
		f := fs.Lookup(key)
		if _, known := all.long[key]; !known {
			return "", usagef("profile %s: there is no option %q", name, o.name)
		}
		if f == nil {
			continue
		}
		if _, rule := f.Value.(*ruleValue); given[f.Name] && !rule {
			continue
		}
		for _, v := range o.values {
			if err := fs.Set(key, v); err != nil {
				return "", usagef("profile %s: %w", name, err)
			}
		}
	}
	return p.url, nil
}

// findProfile reads the first of the files that has the profile.
func (j *job) findProfile(name string) (*profile, error) {
	dirs := []string{"/etc"}
	if dir, err := j.env.userDir("XDG_CONFIG_HOME", ".config"); err == nil {
		dirs = []string{dir, "/etc"}
	}
	for _, dir := range dirs {
		p, err := readProfile(filepath.Join(dir, profileFile), name)
		if p != nil || err != nil {
			return p, err
		}
	}
	return nil, usagef("no profile %q in %s of %v", name, profileFile, dirs)
}

// readProfile reads a profile, nil if the file or the profile is not there.
func readProfile(file, name string) (*profile, error) {
	var tables map[string]map[string]any
	meta, err := toml.DecodeFile(file, &tables)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, usagef("%s: %w", file, err)
	}
	table, ok := tables[name]
	if !ok {
		return nil, nil
	}
	p := new(profile)
	for _, key := range meta.Keys() { // in the order of the file
		if len(key) != 2 || key[0] != name {
			continue
		}
		values, err := optionValues(table[key[1]])
		switch {
		case err != nil:
			return nil, usagef("%s: %s.%s: %w", file, name, key[1], err)
		case key[1] == "url" && len(values) == 1:
			p.url = values[0]
		default:
			p.options = append(p.options, option{key[1], values})
		}
	}
	return p, nil
}

// optionValues are the values of an option, as they would be on the command line.
func optionValues(v any) ([]string, error) {
	switch v := v.(type) {
	case string:
		return []string{v}, nil
	case bool, int64, float64:
		return []string{fmt.Sprint(v)}, nil
	case []any:
		var all []string
		for _, item := range v {
			values, err := optionValues(item)
			if err != nil {
				return nil, err
			}
			all = append(all, values...)
		}
		return all, nil
	}
	return nil, fmt.Errorf("want a text, a number, true, false, or a list of these, not %T", v)
}
