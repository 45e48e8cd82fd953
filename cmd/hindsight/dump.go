package main

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hindsight/chain/difftar"
	"hindsight/index"
)

// dumpOptions are the options of dump.
type dumpOptions struct{ time string }

func newDump(j *job) *cobra.Command {
	o := &dumpOptions{}
	return j.build(operation{
		use: "dump URL [PATH]", short: "Write a backup, or what is below PATH, to standard output as a tar archive",
		long: "Write a backup, or PATH and what is below it, as it was at a time, to standard output as a tar archive (pax), with\n" +
			"extended attributes and hard links where the backup has them. Names are relative to the root of the backup.",
		example:  "  hindsight dump file:///srv/backup srv/www | tar x -C /tmp",
		addFlags: o.addFlags,
		run: func(ctx context.Context, args []string) error {
			path := ""
			if len(args) > 1 {
				path = args[1]
			}
			return o.run(ctx, j, args[0], path)
		},
	})
}

func (o *dumpOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVarP(&o.time, "time", "t", "", "write the state at `TIME`: now, 3D (days ago), 2026-11-20, 20261120T030000Z, ...")
}

func (o *dumpOptions) run(ctx context.Context, j *job, url, arg string) (err error) {
	path, err := cleanPath(arg)
	if err != nil {
		return err
	}
	if j.env.StdoutTerminal {
		return usagef("a tar archive is not for a terminal: send it to a file or to tar")
	}
	r, err := j.openReader(ctx, url, o.time)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	top, err := lookup(r.snapshot, path, arg)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(j.env.Stdout, copyChunk)
	d := &dump{reader: r, tar: tar.NewWriter(out), links: make(map[index.ID]string)}
	err = r.snapshot.Walk(ctx, top.ID, func(path string, e index.Entry) error {
		if err := d.add(ctx, path, &e); err != nil {
			return fmt.Errorf("%s: %w", shown(path), err)
		}
		return nil
	})
	if err == nil { // an archive without its end is one that tar complains about
		err = d.tar.Close()
	}
	return errors.Join(err, out.Flush())
}

// dump is an archive that is being written.
type dump struct {
	*reader
	tar   *tar.Writer
	links map[index.ID]string // the first name of each inode that has several
}

var tarTypes = map[difftar.Type]byte{
	difftar.Regular: tar.TypeReg, difftar.Directory: tar.TypeDir, difftar.Symlink: tar.TypeSymlink,
	difftar.CharDevice: tar.TypeChar, difftar.BlockDevice: tar.TypeBlock, difftar.Fifo: tar.TypeFifo,
}

// add writes one path.
func (d *dump) add(ctx context.Context, path string, e *index.Entry) error {
	h := &tar.Header{
		Name: "./" + path, Typeflag: tarTypes[e.Type], Linkname: e.Linkname, Mode: int64(e.Mode),
		Uid: int(e.UID), Gid: int(e.GID), Uname: e.Uname, Gname: e.Gname,
		ModTime: time.Unix(e.Sec, int64(e.Nsec)), Devmajor: int64(e.Major), Devminor: int64(e.Minor), Format: tar.FormatPAX,
	}
	if path == "" {
		h.Name = "."
	}
	if e.Type == difftar.Directory {
		h.Name += "/"
	}
	first, linked := d.links[e.Link]
	switch {
	case e.Link != 0 && linked:
		h.Typeflag, h.Linkname = tar.TypeLink, first
		return d.tar.WriteHeader(h)
	case e.Link != 0:
		d.links[e.Link] = h.Name
	}
	if err := d.attributes(h, e); err != nil {
		return err
	}
	if e.Type != difftar.Regular {
		return d.tar.WriteHeader(h)
	}
	known, err := d.files.Stat(ctx, d.snapshot, e.ID)
	if err != nil {
		return err
	}
	h.Size = known.Size
	if err := d.tar.WriteHeader(h); err != nil {
		return err
	}
	return d.copy(ctx, d.tar, e)
}

// xattrKeyword spells what cannot stand in a keyword as GNU tar does.
var xattrKeyword = strings.NewReplacer("%", "%25", "=", "%3D")

// attributes adds the extended ones as GNU tar and bsdtar read them.
func (d *dump) attributes(h *tar.Header, e *index.Entry) error {
	if !e.HasXattrs {
		return nil
	}
	list, err := d.snapshot.Xattrs(e.ID)
	h.PAXRecords = make(map[string]string, len(list))
	for _, x := range list {
		h.PAXRecords["SCHILY.xattr."+xattrKeyword.Replace(x.Name)] = string(x.Value)
	}
	return err
}
