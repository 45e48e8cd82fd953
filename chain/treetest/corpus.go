package treetest

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// The corpus at scale 1: a small server of a hosting company. Sources, with some
// images that do not compress and one dump of a database: 631 MB.
const (
	corpusFiles  = 40_001
	corpusImages = 400
	corpusDirs   = 13_071
	corpusDump   = 240_000_000 // bytes
	corpusText   = 291_000_000 // bytes of all small files, about
	corpusImage  = 250_000     // bytes of an image, on average

	// CorpusTime is the time of a new corpus in Unix seconds (2025-10-09): every
	// file is at most five years older, and none is younger.
	CorpusTime = 1_760_000_000

	// CorpusDump is the path of the database dump.
	CorpusDump = "var/backups/shop.sql"
)

// corpusFile is one file that is planned but not yet written.
type corpusFile struct {
	path  string
	size  int64
	kind  corpusKind
	seed  uint64
	mtime int64
}

type corpusKind uint8

const (
	corpusSource corpusKind = iota
	corpusPicture
	corpusSQL
)

// Corpus writes the benchmark's tree below dir, which it makes: at scale 1, 40,001
// small files of source text, 400 images, a 240 MB dump, in 13,071 directories. Files,
// directories, images and the dump shrink with scale (0 < scale). The tree is the same
// for the same scale, on every machine; it is written in parallel.
func Corpus(dir string, scale float64) error {
	if scale <= 0 || math.IsNaN(scale) {
		return fmt.Errorf("scale %v is not positive", scale)
	}
	dirs, files := planCorpus(scale)
	for _, d := range dirs {
		if err := os.MkdirAll(join(dir, d), 0o755); err != nil {
			return err
		}
	}
	if err := writeCorpusFiles(dir, files); err != nil {
		return fmt.Errorf("write corpus: %w", err)
	}
	// Times of directories last, as each file changed its own directory's.
	for i, d := range dirs {
		if err := setTime(join(dir, d), unix.Timespec{Sec: CorpusTime - int64(i)*97%corpusAge}); err != nil {
			return err
		}
	}
	return nil
}

const corpusAge = 5 * 365 * 86400 // seconds

// planCorpus decides on all names, sizes and times, from one seed and in one
// goroutine. The root is the first directory.
func planCorpus(scale float64) (dirs []string, files []corpusFile) {
	rng := rand.New(rand.NewPCG(12, uint64(CorpusTime)))
	dirs = planDirs(rng, scaled(corpusDirs, scale))
	add := func(path string, size int64, kind corpusKind) {
		files = append(files, corpusFile{
			path: path, size: size, kind: kind, seed: rng.Uint64(), mtime: CorpusTime - rng.Int64N(corpusAge),
		})
	}
	// The longest job first, so that no worker is left with it at the end.
	add(CorpusDump, int64(float64(corpusDump)*scale), corpusSQL)
	for i := range scaled(corpusImages, scale) {
		size := int64(corpusImage/2.5) + rng.Int64N(corpusImage*6/5)
		add(fmt.Sprintf("%s/img_%04d.jpg", pick(rng, dirs[1:]), i), size, corpusPicture)
	}
	for i := range scaled(corpusFiles, scale) {
		name := fmt.Sprintf("%s_%d.%s", pick(rng, words), i, pick(rng, extensions))
		add(join2(dirs[rng.IntN(len(dirs))], name), smallSize(rng), corpusSource)
	}
	return dirs, files
}

func scaled(n int, scale float64) int { return max(4, int(math.Round(float64(n)*scale))) }

// smallSize follows a log-normal law, as the sizes of files on real machines do:
// half of the files are shorter than 2.6 kB, the average is corpusText/corpusFiles.
func smallSize(rng *rand.Rand) int64 {
	const sigma = 1.43
	mean := float64(corpusText) / corpusFiles
	size := mean * math.Exp(sigma*rng.NormFloat64()-sigma*sigma/2)
	return int64(min(size, 400_000))
}

// planDirs makes n directories, parents first; most have few children, some have
// many, none is deeper than 12.
func planDirs(rng *rand.Rand, n int) []string {
	dirs := []string{"", "var", "var/backups"}
	depth := []int{0, 1, 2}
	for len(dirs) < n {
		at := rng.IntN(len(dirs))
		if rng.IntN(3) > 0 { // a sibling of what was made last
			at = len(dirs) - 1 - rng.IntN(min(len(dirs), 20))
		}
		if depth[at] >= 12 {
			continue
		}
		dirs = append(dirs, join2(dirs[at], fmt.Sprintf("%s%d", pick(rng, words), len(dirs))))
		depth = append(depth, depth[at]+1)
	}
	return dirs
}

func writeCorpusFiles(dir string, files []corpusFile) error {
	var next atomic.Int64
	var group errgroup.Group
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			w := bufio.NewWriterSize(nil, 256<<10)
			for {
				i := int(next.Add(1)) - 1
				if i >= len(files) {
					return nil
				}
				if err := files[i].write(dir, w); err != nil {
					return err
				}
			}
		})
	}
	return group.Wait()
}

// write makes the file through w, which is only lent.
func (c corpusFile) write(dir string, w *bufio.Writer) (err error) {
	full := join(dir, c.path)
	f, err := os.OpenFile(full, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	w.Reset(f)
	rng := rand.New(rand.NewPCG(c.seed, 1))
	switch c.kind {
	case corpusSource:
		writeSource(w, rng, c.size)
	case corpusPicture:
		writeNoise(w, rng, c.size)
	case corpusSQL:
		writeDump(w, rng, c.size)
	}
	err = w.Flush() // holds the first error of all writes
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return setTime(full, unix.Timespec{Sec: c.mtime})
}

// writeNoise writes n bytes that do not compress.
func writeNoise(w io.ByteWriter, rng *rand.Rand, n int64) {
	var v uint64
	for i := range n {
		if i%8 == 0 {
			v = rng.Uint64()
		}
		_ = w.WriteByte(byte(v)) // errors stick until Flush
		v >>= 8
	}
}

// writeSource writes n bytes that look like source code and compress like it.
func writeSource(w *bufio.Writer, rng *rand.Rand, n int64) {
	line := make([]byte, 0, 256)
	for n > 0 {
		line = appendLine(line[:0], rng)
		if int64(len(line)) > n {
			line = line[:n]
		}
		_, _ = w.Write(line)
		n -= int64(len(line))
	}
}

var (
	extensions = strings.Fields("go c h py js php html css txt md conf json xml yml sh")
	// words of source text, the common ones first.
	words = strings.Fields(`return if err nil string func for value name self data this int key list index file
		result error size type path node buffer count length status config user handler request response option state
		context message header parent child table column query cache token parse format encode decode session template
		render module export import default private public static const var while switch case break continue class
		interface struct method object array number boolean undefined callback event listener element document window
		style color width height margin padding position display border background font image icon button label input
		select form field validate submit error warning debug trace level logger timestamp version release build target
		source destination directory filename extension archive backup restore volume manifest signature block offset`)
)

// appendLine appends one line of source text, or an idiom of a few: words and
// punctuation that repeat, and numbers that seldom do.
func appendLine(line []byte, rng *rand.Rand) []byte {
	r := rng.Uint64()
	if r>>16%6 == 0 {
		return append(line, idioms[r>>24%uint64(len(idioms))]...)
	}
	for range r % 5 {
		line = append(line, "    "...)
	}
	for range 2 + r>>8%7 {
		v := rng.Uint64()
		// The smaller of two picks makes the first words the common ones.
		word := words[min(v%uint64(len(words)), v>>16%uint64(len(words)))]
		line = append(line, word...)
		if v>>32%8 == 0 {
			line = appendNumber(line, uint32(v>>40))
		}
		line = append(line, punctuation[v>>36%uint64(len(punctuation))]...)
	}
	return append(line, '\n')
}

// idioms are whole lines that turn up everywhere.
var idioms = []string{
	"\tif err != nil {\n\t\treturn nil, err\n\t}\n", "\t}\n\n", "        return self.value\n", "    </div>\n",
	"// Copyright the authors. All rights reserved. See the file LICENSE for the terms.\n", "        else:\n            continue\n",
}

var punctuation = []string{" ", " ", " ", "_", ".", "(", ") ", ", ", " = ", ": ", " {", "->", `"`, ";"}

// appendNumber appends a number of up to eight hex digits.
func appendNumber(line []byte, v uint32) []byte {
	const digits = "0123456789abcdef"
	for v != 0 {
		line = append(line, digits[v&15])
		v >>= 4
	}
	return line
}

// writeDump writes rows of a table until n bytes are reached, no more than a row
// too many.
func writeDump(w *bufio.Writer, rng *rand.Rand, n int64) {
	row := make([]byte, 0, 512)
	for id := uint64(1); n > 0; id++ {
		row = appendRow(row[:0], rng, id)
		_, _ = w.Write(row)
		n -= int64(len(row))
	}
}

// appendRow appends one INSERT line.
func appendRow(row []byte, rng *rand.Rand, id uint64) []byte {
	v := rng.Uint64()
	row = fmt.Appendf(row, "INSERT INTO `orders` VALUES (%d,%d,'%08x-%04x','2025-%02d-%02d %02d:%02d:%02d',%d.%02d,'",
		id, v%50_000, uint32(v>>20), uint16(v>>52), 1+v>>8%12, 1+v>>12%28, v>>17%24, v>>22%60, v>>28%60, v>>34%900, v>>44%100)
	for range 4 + v>>50%9 {
		x := rng.Uint64()
		row = append(row, words[min(x%uint64(len(words)), x>>16%uint64(len(words)))]...)
		row = append(row, ' ')
	}
	return append(row, "');\n"...)
}
