package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// rsyncs is how many copy a tree at once, and shares how many pieces it is cut into at
// least, for each to get about as many files as the others.
const (
	rsyncs = 10
	shares = 8 * rsyncs
)

// mountTime is how long a mount may take until the tree is there.
const mountTime = 5 * time.Minute

// browse mounts the newest state, walks through it twice, reads a small file, of which
// nothing is at hand, and copies all by rsync. A tool that mounts nothing shows what the
// same takes on a plain directory.
func (r round) browse(ctx context.Context, t *tool) (err error) {
	if t.tree == nil {
		return nil
	}
	if t.mount != nil {
		unmount, err := r.mounted(ctx, t, mounted)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, unmount()) }()
	}
	tree := t.tree(t)
	for _, p := range []phase{find, findAgain} {
		if err := r.clock(t, p, func() error { return exec.CommandContext(ctx, "find", tree+"/", "-size", "-0").Run() }); err != nil {
			return err
		}
	}
	small, err := r.small()
	if err != nil {
		return err
	}
	if err := r.clock(t, catFile, func() error { return exec.CommandContext(ctx, "cat", filepath.Join(tree, small)).Run() }); err != nil {
		return err
	}
	lists, err := split(r.source(), rsyncs)
	if err != nil {
		return err
	}
	if err := r.clock(t, copied, func() error { return rsync(ctx, tree, t.target, lists) }); err != nil {
		return err
	}
	if r.verify {
		root, err := os.Stat(tree)
		if err == nil { // no list has the root itself
			err = os.Chtimes(t.target, root.ModTime(), root.ModTime())
		}
		if err != nil {
			return err
		}
		if err := r.chore(ctx, "verify", t.target, filepath.Join(r.dir, "newest.tree")); err != nil {
			return err
		}
	}
	return os.RemoveAll(t.target)
}

// clock notes how long something took, and what it had fetched.
func (r round) clock(t *tool, p phase, do func() error) error {
	start := time.Now()
	_, before := r.remote.bytes()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	_, now := r.remote.bytes()
	r.results.add(t, p, usage{wall: time.Since(start), link: now - before}, false)
	return nil
}

// mounted starts the mount of a tool and waits until its tree is there. It is to be
// ended by unmount.
func (r round) mounted(ctx context.Context, t *tool, p phase) (unmount func() error, err error) {
	log, err := os.Create(t.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, t.program, t.mount(t)...)
	cmd.Env, cmd.Stdout, cmd.Stderr = t.env, log, log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	ended := make(chan error, 1)
	unmount = func() error {
		_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended by itself
		return <-ended
	}
	err = r.clock(t, p, func() error {
		if err := cmd.Start(); err != nil {
			return err
		}
		go func() { ended <- cmd.Wait() }()
		for deadline := time.Now().Add(mountTime); ; time.Sleep(2 * time.Millisecond) {
			if _, err := os.Stat(t.tree(t)); err == nil {
				return nil
			}
			select {
			case err := <-ended:
				said, _ := os.ReadFile(t.log)
				return errors.Join(err, fmt.Errorf("it ended: %s", said))
			default:
			}
			if time.Now().After(deadline) {
				return errors.Join(errors.New("the tree does not appear"), unmount())
			}
		}
	})
	return unmount, err
}

// rsync copies the paths of each list of a tree, all lists at once.
func rsync(ctx context.Context, tree, target string, lists []string) error {
	if err := os.Mkdir(target, 0o755); err != nil { // by one, before all of them try
		return err
	}
	var all errgroup.Group
	for _, list := range lists {
		all.Go(func() error {
			cmd := exec.CommandContext(ctx, "rsync", "-a", "-r", "--files-from=-", tree+"/", target+"/")
			cmd.Stdin = strings.NewReader(list)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("rsync: %w\n%s", err, out)
			}
			return nil
		})
	}
	return all.Wait()
}

// share is a path that is copied with all below it, and of how many paths that is.
type share struct {
	path  string
	paths int
}

// split makes n lists of the paths of a tree, a line each, of about as many paths below
// them.
func split(tree string, n int) ([]string, error) {
	pieces := []share{{path: "."}}
	for len(pieces) < shares {
		i := slices.IndexFunc(pieces, func(s share) bool { return s.paths != 1 })
		if i < 0 {
			break
		}
		parts, err := cut(tree, pieces[i].path)
		if err != nil {
			return nil, err
		}
		pieces = append(slices.Delete(pieces, i, i+1), parts...)
		slices.SortStableFunc(pieces, func(a, b share) int { return cmp.Compare(b.paths, a.paths) })
	}
	lists, loads := make([]string, n), make([]int, n)
	for _, p := range pieces {
		least := slices.Index(loads, slices.Min(loads))
		lists[least] += p.path + "\n"
		loads[least] += p.paths
	}
	return slices.DeleteFunc(lists, func(l string) bool { return l == "" }), nil
}

// cut makes a share of each name in a directory.
func cut(tree, dir string) ([]share, error) {
	names, err := os.ReadDir(filepath.Join(tree, dir))
	if err != nil {
		return nil, err
	}
	var parts []share
	for _, name := range names {
		s := share{path: filepath.Join(dir, name.Name())}
		err := filepath.WalkDir(filepath.Join(tree, s.path), func(string, fs.DirEntry, error) error {
			s.paths++
			return nil
		})
		if err != nil {
			return nil, err
		}
		parts = append(parts, s)
	}
	return parts, nil
}
