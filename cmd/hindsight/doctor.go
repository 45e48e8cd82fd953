package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"hindsight/chain"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
	"hindsight/s3store"
)

func newDoctor(j *job) *cobra.Command {
	return j.build(operation{
		use: "doctor URL", short: "Try out the store, the keys, FUSE and the cache",
		long: "Try out what the store does and these credentials may do, whether the keys open the newest backup, and whether FUSE\n" +
			"and the cache can be used. About 17 MiB are put below the URL and removed again; where nothing may be deleted,\n" +
			"nothing is put. The exit code tells of the first thing that failed.",
		example: "  hindsight doctor s3://backups/web1\n  hindsight doctor --json file:///srv/backup",
		run:     func(ctx context.Context, args []string) error { return runDoctor(ctx, j, args[0]) },
	})
}

// checkup is one thing that was tried out, as JSON.
type checkup struct {
	Type    string          `json:"type"` // check
	Area    string          `json:"area"` // store, keys, fuse or cache
	Name    string          `json:"name"`
	Outcome s3store.Outcome `json:"outcome"` // ok, limited, failed or skipped
	Detail  string          `json:"detail,omitempty"`
	Millis  float64         `json:"milliseconds,omitempty"`
}

// doctor tells of checkups as they come.
type doctor struct {
	j     *job
	first error // that failed
	err   error // of the output
}

func runDoctor(ctx context.Context, j *job, url string) error {
	p, err := parseURL(url)
	if err != nil {
		return err
	}
	if err := j.checkNames(); err != nil {
		return err
	}
	d := &doctor{j: j}
	if err := d.store(ctx, p); err != nil {
		return err
	}
	d.keys(ctx, p)
	d.fuse()
	d.cache(p)
	if err := errors.Join(ctx.Err(), d.err); err != nil {
		return err
	}
	if code, _ := judge(d.first); code != 0 {
		return errQuiet(code)
	}
	return nil
}

// tell gives one checkup out. An error makes it a failed one.
func (d *doctor) tell(c checkup, took time.Duration, err error) {
	c.Type, c.Millis = "check", float64(took.Microseconds())/1000
	if err != nil {
		c.Outcome = s3store.Fails
		if c.Detail == "" {
			c.Detail = undouble(err.Error())
		}
		if _, hint := judge(err); hint != "" {
			c.Detail += "; " + hint
		}
		if d.first == nil {
			d.first = err
		}
	}
	if d.j.opt.json {
		d.err = errors.Join(d.err, d.j.printJSON(c))
		return
	}
	shownTime := ""
	if took > 0 {
		shownTime = fmt.Sprintf("%.1f ms", c.Millis)
	}
	line := fmt.Sprintf("%-6s %-22s %-8s %10s  %s", c.Area, c.Name, c.Outcome, shownTime, shown(c.Detail))
	_, err = fmt.Fprintln(d.j.env.Stdout, strings.TrimRight(line, " "))
	d.err = errors.Join(d.err, err)
}

// check times one thing and tells of it.
func (d *doctor) check(area, name string, fn func() (detail string, err error)) bool {
	began := time.Now()
	detail, err := fn()
	d.tell(checkup{Area: area, Name: name, Outcome: s3store.Works, Detail: detail}, time.Since(began), err)
	return err == nil
}

func (d *doctor) store(ctx context.Context, p place) error {
	if !p.isS3() {
		d.directory(ctx, p)
		return ctx.Err()
	}
	s, err := d.j.openS3(p)
	if err != nil {
		return err
	}
	err = s.Probe(ctx, func(f s3store.Finding) {
		if cause := context.Cause(ctx); cause != nil && errors.Is(f.Err, cause) {
			return // it says nothing of the store
		}
		d.tell(checkup{Area: "store", Name: f.Name, Outcome: f.Outcome, Detail: f.Detail}, f.Took, f.Err)
	})
	return errors.Join(err, s.Close())
}

// directory tries a store out that has no surprises but those of permissions.
func (d *doctor) directory(ctx context.Context, p place) {
	var s store.Store
	if !d.check("store", "open", func() (_ string, err error) { s, err = openDir(p.dir, false); return p.dir, err }) {
		return
	}
	defer s.Close() // nothing is written by it
	name := s3store.ProbePrefix + rand.Text()
	data := []byte("hindsight")
	lacking := false // the object that was to be put
	for _, step := range []struct {
		name string
		try  func() error
	}{
		{"list", func() error {
			for _, err := range s.List(ctx, name) {
				return err
			}
			return nil
		}},
		{"put", func() error { return s.Put(ctx, name, store.Bytes(data), store.PutOptions{IfAbsent: true}) }},
		{"get", func() error {
			got, err := store.ReadAll(ctx, s, name, int64(len(data)))
			if err == nil && string(got) != string(data) {
				err = errors.New("other bytes than were put")
			}
			return err
		}},
		{"delete", func() error { return s.Delete(context.WithoutCancel(ctx), name) }},
	} {
		if lacking {
			d.tell(checkup{Area: "store", Name: step.name, Outcome: s3store.Skipped, Detail: "nothing was put"}, 0, nil)
			continue
		}
		ok := d.check("store", step.name, func() (string, error) { return "", step.try() })
		lacking = lacking || !ok && step.name == "put"
	}
}

// keys tries to encrypt as a backup would, and to open the newest backup.
func (d *doctor) keys(ctx context.Context, p place) {
	o := d.j.opt
	ring := d.j.keyring(false)
	if to := (pgp.Recipients{Keys: o.encryptKeys, HiddenKeys: o.hidden, SignKey: o.signKey}); len(to.Keys)+len(to.HiddenKeys) > 0 || o.signKey != "" || d.j.passphraseGiven() {
		to.Symmetric = len(to.Keys)+len(to.HiddenKeys) == 0
		d.check("keys", "encrypt", func() (string, error) {
			_, err := ring.NewSession(ctx, to, pgp.SessionOptions{})
			return "", err
		})
	} else {
		d.tell(checkup{Area: "keys", Name: "encrypt", Outcome: s3store.Skipped, Detail: "neither a key nor a passphrase is given"}, 0, nil)
	}
	var detail string
	began := time.Now()
	err := d.newest(ctx, p, ring, &detail)
	if errors.Is(err, chain.ErrNoChain) || errors.Is(err, store.ErrNotExist) {
		d.tell(checkup{Area: "keys", Name: "decrypt", Outcome: s3store.Skipped, Detail: "there is no backup yet"}, 0, nil)
		return
	}
	d.tell(checkup{Area: "keys", Name: "decrypt", Outcome: s3store.Works, Detail: detail}, time.Since(began), err)
}

// newest reads the newest backup's manifest.
func (d *doctor) newest(ctx context.Context, p place, ring *pgp.Keyring, detail *string) (err error) {
	s, err := d.j.openPlace(p, false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	repo := chain.Repository{Store: s, Scheme: d.j.opt.scheme, Keys: ring, Log: d.j.console.logger()}
	col, err := chain.Load(ctx, s, repo.Scheme)
	if err != nil {
		return err
	}
	ch := col.Latest()
	if ch == nil {
		return chain.ErrNoChain
	}
	last := ch.Sets[len(ch.Sets)-1]
	m, err := repo.Manifest(ctx, last)
	if err != nil {
		return err
	}
	*detail = fmt.Sprintf("the backup of %s, %s", stamp(last.End), plural(int64(len(m.Volumes)), "volume"))
	if !last.Manifest.Encrypted {
		*detail += ", is not encrypted"
	}
	return nil
}

// fuse looks whether a mount could be made. That it cannot is no failure: backups and
// restores do without.
func (d *doctor) fuse() {
	detail := "/dev/fuse and fusermount3"
	outcome := s3store.Works
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err == nil {
		err = f.Close()
	}
	if err == nil && os.Geteuid() != 0 {
		if _, err = exec.LookPath("fusermount3"); err != nil {
			_, err = exec.LookPath("fusermount")
		}
	}
	if err != nil {
		outcome, detail = s3store.Limited, "nothing can be mounted here: "+err.Error()
	}
	d.tell(checkup{Area: "fuse", Name: "device", Outcome: outcome, Detail: detail}, 0, nil)
}

// cache looks at the place of local copies.
func (d *doctor) cache(p place) {
	d.check("cache", "directory", func() (string, error) {
		dir, err := d.j.cacheDir(p)
		if err != nil {
			return "", err
		}
		near, err := nearestDir(dir)
		if err != nil {
			return "", err
		}
		if err := unix.Access(near, unix.W_OK); err != nil {
			return "", &os.PathError{Op: "write to", Path: near, Err: err}
		}
		var st unix.Statfs_t
		if err := unix.Statfs(near, &st); err != nil {
			return "", &os.PathError{Op: "statfs", Path: near, Err: err}
		}
		return fmt.Sprintf("%s, %s free", dir, ibytes(int64(st.Bavail)*st.Bsize)), nil
	})
}

// nearestDir is the directory itself or the nearest above it that is there.
func nearestDir(dir string) (string, error) {
	for {
		fi, err := os.Stat(dir)
		switch {
		case err == nil && fi.IsDir():
			return dir, nil
		case err == nil:
			return "", &os.PathError{Op: "open", Path: dir, Err: unix.ENOTDIR}
		case !errors.Is(err, os.ErrNotExist) || dir == "/":
			return "", err
		}
		dir = filepath.Dir(dir)
	}
}
