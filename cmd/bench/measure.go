package main

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"hindsight/chain/treetest"
)

// usage is what one run took.
type usage struct {
	wall time.Duration
	rss  int64 // bytes: the most that the process, or one of its children, held at once
	link int64 // bytes over the network, in the direction that had more
}

// measure runs a command of the tool to its end. What it says goes to the tool's log.
func (t *tool) measure(ctx context.Context, c command) (usage, error) {
	cmd := exec.CommandContext(ctx, t.program, c(t)...)
	log, err := os.Create(t.log)
	if err != nil {
		return usage{}, err
	}
	defer log.Close()
	cmd.Env, cmd.Stdout, cmd.Stderr = t.env, log, log
	start := time.Now()
	err = cmd.Run()
	wall := time.Since(start)
	if err != nil {
		said, _ := os.ReadFile(t.log)
		return usage{}, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, said[max(0, len(said)-2000):])
	}
	u := usage{wall: wall}
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.rss = r.Maxrss << 10 // Linux counts KiB
	}
	return u, nil
}

// chore runs one of the chores below in a process of its own: a new process starts
// with its parent's peak of memory, so the one that measures must stay small.
func (r round) chore(ctx context.Context, args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", args[0], err, &out)
	}
	return nil
}

// chore does what the arguments say: corpus DIR SCALE, edit DIR DAY SHARE, record DIR
// FILE, verify DIR FILE.
func chore(args []string) error {
	want := 3
	if len(args) > 0 && args[0] == "edit" {
		want = 4
	}
	if len(args) != want {
		return fmt.Errorf("unexpected arguments %q", args)
	}
	verb, dir, arg := args[0], args[1], args[2]
	switch verb {
	case "corpus":
		scale, err := strconv.ParseFloat(arg, 64)
		if err != nil {
			return err
		}
		return treetest.Corpus(dir, scale)
	case "edit":
		day, err := strconv.Atoi(arg)
		share, serr := strconv.ParseFloat(args[3], 64)
		if err := errors.Join(err, serr); err != nil {
			return err
		}
		return treetest.CorpusEdit(dir, day, share)
	case "record":
		return record(dir, arg)
	case "verify":
		return verify(dir, arg)
	}
	return fmt.Errorf("unexpected argument %q", verb)
}

func record(dir, name string) (err error) {
	tree, err := treetest.Scan(dir)
	if err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(gob.NewEncoder(f).Encode(tree), f.Close())
}

func verify(dir, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var want treetest.Tree
	if err := gob.NewDecoder(f).Decode(&want); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	got, err := treetest.Scan(dir)
	if err != nil {
		return err
	}
	lines := treetest.Diff(got, want, treetest.Options{WithoutOwners: os.Geteuid() != 0})
	if len(lines) > 0 {
		return fmt.Errorf("what was restored differs in %d ways:\n%s", len(lines), strings.Join(lines[:min(10, len(lines))], "\n"))
	}
	return nil
}

// stored is the sum of the sizes, in bytes, of the files below dir.
func stored(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum, err
}
