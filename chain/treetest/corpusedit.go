package treetest

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"

	"golang.org/x/sys/unix"
)

// CorpusEdit makes the edits of one day (1, 2, …, in turn) to a corpus: with a share of 1,
// about 0.3 % of its bytes, and with others, up to maxShare, so many times as much. Of the
// small files one in 300 is changed, one in 1000 added, one in 1300
// deleted and one in 4000 renamed; in the dump, which is written anew as a dump
// program does it, some rows are changed, some are inserted and some appended. What
// is edited, and its directory, gets a time within the day after CorpusTime +
// day*86400. The same tree, day and share give the same result.
func CorpusEdit(dir string, day int, share float64) error {
	if day < 1 {
		return fmt.Errorf("day %d is not positive", day)
	}
	if !(share > 0 && share <= maxShare) {
		return fmt.Errorf("a share of %v is not above 0, %v at most", share, maxShare)
	}
	tree, err := appendTree(nil, dir, "")
	if err != nil {
		return fmt.Errorf("edit corpus: %w", err)
	}
	sortTree(tree)
	e := corpusEdit{dir: dir, day: day, share: share, rng: rand.New(rand.NewPCG(uint64(day), CorpusTime)), dirs: map[string]bool{}}
	for _, entry := range tree {
		switch {
		case entry.Type == TypeDir:
			err = e.visitDir(entry.Path)
		case entry.Path == CorpusDump:
			err = e.dump(entry)
		case entry.Size < 400_000 && !isImage(entry.Path):
			err = e.file(entry)
		}
		if err != nil {
			return fmt.Errorf("edit corpus: %w", err)
		}
	}
	return e.setTimes()
}

// maxShare bounds the edits of a day: each is to change a file that is there.
const maxShare = 10.0

func isImage(path string) bool { return len(path) > 4 && path[len(path)-4:] == ".jpg" }

type corpusEdit struct {
	dir   string
	day   int
	share float64
	rng   *rand.Rand
	dirs  map[string]bool // whose times change
	n     int             // new files so far
}

// draw is a random number that is below k in as many cases of n as k and the day's share
// say: k times share.
func (e *corpusEdit) draw(n float64) float64 { return e.rng.Float64() * n / e.share }

func (e *corpusEdit) now() int64 { return CorpusTime + int64(e.day)*86400 + e.rng.Int64N(80_000) }

// visitDir now and then adds a file: there is one directory to three files, so one in
// 330 directories.
func (e *corpusEdit) visitDir(path string) error {
	if e.draw(330) >= 1 {
		return nil
	}
	e.dirs[path] = true
	e.n++
	name := fmt.Sprintf("new_%d_%d.go", e.day, e.n)
	return e.write(corpusFile{path: join2(path, name), size: smallSize(e.rng), kind: corpusSource, seed: e.rng.Uint64(), mtime: e.now()})
}

func (e *corpusEdit) write(c corpusFile) error {
	return c.write(e.dir, bufio.NewWriter(nil))
}

// file changes, deletes or renames a small file, or leaves it alone.
func (e *corpusEdit) file(entry Entry) error {
	full := join(e.dir, entry.Path)
	switch n := e.draw(12_000); {
	case n < 40:
		return e.change(full)
	case n < 49:
		e.dirs[parent(entry.Path)] = true
		return os.Remove(full)
	case n < 52:
		e.dirs[parent(entry.Path)] = true
		return os.Rename(full, fmt.Sprintf("%s.moved%d", full, e.day))
	}
	return nil
}

// change edits some lines in the middle and adds some at the end.
func (e *corpusEdit) change(full string) error {
	data, err := os.ReadFile(full)
	if err != nil {
		return err
	}
	at := e.rng.IntN(len(data) + 1)
	var edited []byte
	edited = append(edited, data[:at]...)
	for range 1 + e.rng.IntN(4) {
		edited = appendLine(edited, e.rng)
	}
	edited = append(edited, data[min(len(data), at+e.rng.IntN(200)):]...)
	for range e.rng.IntN(4) {
		edited = appendLine(edited, e.rng)
	}
	if err := os.WriteFile(full, edited, 0o644); err != nil {
		return err
	}
	return setTime(full, unix.Timespec{Sec: e.now()})
}

// Of 1,000,000 rows of the dump, these are changed, followed by a new one, and
// appended.
const (
	rowsChanged  = 150
	rowsInserted = 50
	rowsAppended = 2500
)

// dump rewrites the dump row by row.
func (e *corpusEdit) dump(entry Entry) (err error) {
	full := join(e.dir, entry.Path)
	old, err := os.Open(full)
	if err != nil {
		return err
	}
	defer old.Close()
	temp := full + ".new"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 256<<10)
	err = e.copyRows(w, bufio.NewReaderSize(old, 256<<10))
	if err == nil {
		err = w.Flush()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	e.dirs[parent(entry.Path)] = true
	if err := os.Rename(temp, full); err != nil {
		return err
	}
	return setTime(full, unix.Timespec{Sec: e.now()})
}

func (e *corpusEdit) copyRows(w *bufio.Writer, r *bufio.Reader) error {
	const million = 1_000_000
	id := uint64(e.day) * 1_000_000_000
	var row []byte
	rows := 0
	for {
		line, err := r.ReadSlice('\n')
		if len(line) == 0 {
			break
		}
		if err != nil {
			return fmt.Errorf("row %d of the dump: %w", rows, err)
		}
		rows++
		id++
		n := e.draw(million)
		if n < rowsChanged {
			row = appendRow(row[:0], e.rng, id)
			line = row
		}
		if _, err := w.Write(line); err != nil {
			return err
		}
		if n >= rowsChanged && n < rowsChanged+rowsInserted {
			row = appendRow(row[:0], e.rng, id)
			_, _ = w.Write(row) // an error sticks until Flush
		}
	}
	for range int(float64(rows) * e.share * rowsAppended / million) {
		id++
		row = appendRow(row[:0], e.rng, id)
		_, _ = w.Write(row)
	}
	return nil
}

// setTimes gives the directories that gained or lost a name a time of the day.
func (e *corpusEdit) setTimes() error {
	for path := range e.dirs {
		if err := setTime(join(e.dir, path), unix.Timespec{Sec: CorpusTime + int64(e.day)*86400 + int64(len(path))}); err != nil {
			return err
		}
	}
	return nil
}
