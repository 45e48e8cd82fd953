package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"hindsight/chain/difftar"
	"hindsight/index"
	"hindsight/index/content"
)

func newIndex(j *job) *cobra.Command {
	c := &cobra.Command{
		Use: "index", Short: "Build, publish, drop or look at the index that mount, list and others read",
		Long: "The index is a local database of all trees of all backups in a place. It lies in the cache directory, is made\n" +
			"from the place by whoever needs it, and may be dropped at any time. Backups by hindsight have a portable index\n" +
			"beside them, from which it is made quickly; those by duplicity can be given one.",
		Example: "  hindsight index stat file:///srv/backup\n  hindsight index publish file:///srv/backup",
		Args:    cobra.ArbitraryArgs,
	}
	c.RunE = func(c *cobra.Command, _ []string) error { // what is no command is told by route
		j.command = c.CommandPath()
		return usagef("missing build, publish, drop or stat")
	}
	c.AddCommand(newIndexBuild(j), newIndexPublish(j), newIndexDrop(j), newIndexStat(j))
	return c
}

func newIndexBuild(j *job) *cobra.Command {
	prefetch := false
	return j.build(operation{
		use: "build URL", short: "Bring the index up to date",
		long: "Take in the backups that the index lacks, leave out those that are gone, and say what it holds then.\n" +
			"Commands that need the index do so themselves.",
		example: "  hindsight index build file:///srv/backup\n  hindsight index build --prefetch file:///srv/backup",
		addFlags: func(flags *pflag.FlagSet) {
			flags.BoolVar(&prefetch, "prefetch", false, "find out sizes that only volumes tell, too: each volume is read once ever")
		},
		run: func(ctx context.Context, args []string) error { return runIndexBuild(ctx, j, args[0], prefetch) },
	})
}

func newIndexDrop(j *job) *cobra.Command {
	return j.build(operation{
		use: "drop URL", short: "Remove the index",
		long: "Remove the index from the cache directory, and what was learned of volumes. Nothing of the backups is touched.\n" +
			"A mount that reads it goes on with what it has opened.",
		example: "  hindsight index drop file:///srv/backup",
		run:     func(ctx context.Context, args []string) error { return runIndexDrop(ctx, j, args[0]) },
	})
}

func newIndexStat(j *job) *cobra.Command {
	return j.build(operation{
		use: "stat URL", short: "Say what the index holds",
		long:    "Say what the index holds and how large it is, without a look at the place that it is of.",
		example: "  hindsight index stat file:///srv/backup\n  hindsight index stat --json s3://backups/web1",
		run:     func(ctx context.Context, args []string) error { return runIndexStat(ctx, j, args[0]) },
	})
}

// runIndexBuild builds, and shows what is there then.
func runIndexBuild(ctx context.Context, j *job, url string, prefetch bool) (err error) {
	b, err := j.browse(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if b.temporary != "" {
		return fmt.Errorf("there is no place for the index in %s", b.cache)
	}
	if prefetch {
		if err := b.prefetch(ctx, j); err != nil {
			return err
		}
	}
	return j.describeIndex(ctx, b.index)
}

// prefetch scans all volumes that tell what the index does not know yet.
func (b *browsing) prefetch(ctx context.Context, j *job) (err error) {
	files, err := content.New(b.index, &b.Repository, content.Options{Memory: j.contentMemory(), Log: b.Log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, files.Close()) }()
	return files.Prefetch(ctx, j.tellPrefetch())
}

// localIndex is where the index of a place is, whether the place can be reached or not.
func (j *job) localIndex(url string) (dir, identity string, err error) {
	place, err := parseURL(url)
	if err == nil {
		err = j.checkNames()
	}
	if err != nil {
		return "", "", err
	}
	if identity, err = j.identity(place); err != nil {
		return "", "", err
	}
	cache, err := j.cacheDir(place)
	return filepath.Join(cache, indexName), identity, err
}

func runIndexDrop(ctx context.Context, j *job, url string) error {
	dir, _, err := j.localIndex(url)
	if err != nil {
		return err
	}
	return index.Drop(ctx, dir)
}

func runIndexStat(ctx context.Context, j *job, url string) (err error) {
	dir, identity, err := j.localIndex(url)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) { // which Open would make
		return j.printIndex(indexed{Type: "index"})
	}
	x, err := index.Open(dir, index.Options{Identity: identity, Log: j.console.logger()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.Close()) }()
	return j.describeIndex(ctx, x)
}

// indexed is what an index holds, as JSON.
type indexed struct {
	Type       string `json:"type"`       // index
	Generation uint64 `json:"generation"` // 0: there is no index
	Chains     int    `json:"chains"`
	Snapshots  int    `json:"snapshots"`
	Portable   int    `json:"from_portable"`   // snapshots taken in from portable indexes
	Signatures int    `json:"from_signatures"` // from signatures: sizes only as volumes are read
	Volumes    int    `json:"from_volumes"`
	First      string `json:"first,omitempty"` // snapshot, RFC 3339 in UTC
	Last       string `json:"last,omitempty"`
	Versions   int64  `json:"versions"`  // of paths
	Dead       int64  `json:"dead"`      // of backups that are gone, still to be thrown away
	Size       int64  `json:"size"`      // bytes on disk
	Scanned    int    `json:"scanned"`   // volumes
	ScanSize   int64  `json:"scan_size"` // bytes on disk of what that has told
	Unknown    int64  `json:"unknown"`   // files of the newest snapshot whose size is not known
	Entries    int64  `json:"entries"`   // paths of the newest snapshot
	Bytes      int64  `json:"bytes"`     // of its files of known size
}

// describeIndex looks at an index and prints what is there.
func (j *job) describeIndex(ctx context.Context, x *index.Index) error {
	s, err := x.Stat()
	if err != nil {
		return err
	}
	d := indexed{
		Type: "index", Generation: s.Generation, Chains: s.Chains, Snapshots: s.Snapshots,
		Versions: s.Versions, Dead: s.Dead, Size: s.Bytes, Scanned: s.Scanned, ScanSize: s.ScanBytes,
	}
	all := x.Snapshots()
	for _, snap := range all {
		switch snap.Source {
		case index.FromTOC:
			d.Portable++
		case index.FromSignatures:
			d.Signatures++
		case index.FromVolumes:
			d.Volumes++
		}
	}
	if n := len(all); n > 0 {
		last := all[n-1]
		d.First, d.Last = rfc3339(all[0].Time), rfc3339(last.Time)
		if d.Unknown, d.Bytes, err = sizes(ctx, last); err != nil {
			return err
		}
		d.Entries = last.Totals.Files + last.Totals.Dirs + last.Totals.Others
	}
	return j.printIndex(d)
}

// sizes adds up the files of a snapshot. Its totals know nothing of later scans.
func sizes(ctx context.Context, s *index.Snapshot) (unknown, total int64, err error) {
	if s.Totals.Unknown == 0 {
		return 0, s.Totals.Bytes, nil
	}
	err = s.Walk(ctx, index.Root, func(_ string, e index.Entry) error {
		switch {
		case e.Type != difftar.Regular:
		case e.Size < 0:
			unknown++
		default:
			total += e.Size
		}
		return nil
	})
	return unknown, total, err
}

// printIndex says what an index holds.
func (j *job) printIndex(d indexed) error {
	if j.opt.json {
		return j.printJSON(d)
	}
	out := bufio.NewWriter(j.env.Stdout)
	if d.Generation == 0 {
		fmt.Fprintln(out, "There is no index; hindsight index build URL makes it, and so does whatever needs it.")
		return out.Flush()
	}
	fmt.Fprintf(out, "Backups:      %d in %s\n", d.Snapshots, plural(int64(d.Chains), "chain"))
	if d.Snapshots > 0 {
		fmt.Fprintf(out, "First, last:  %s, %s\n", d.First, d.Last)
	}
	fmt.Fprintf(out, "Made from:    %d portable indexes, %d signature archives, the volumes of %s\n", d.Portable, d.Signatures, plural(int64(d.Volumes), "backup"))
	fmt.Fprintf(out, "Newest:       %s, %s in files", plural(d.Entries, "path"), ibytes(d.Bytes))
	if d.Unknown > 0 {
		fmt.Fprintf(out, " and %s of unknown size", plural(d.Unknown, "file"))
	}
	fmt.Fprintf(out, "\nVersions:     %d of paths, %d more of backups that are gone\n", d.Versions, d.Dead)
	fmt.Fprintf(out, "On disk:      %s, and %s of %s\n", ibytes(d.Size), ibytes(d.ScanSize), plural(int64(d.Scanned), "scanned volume"))
	return out.Flush()
}
