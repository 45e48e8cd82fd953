package manifest

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
)

// Read reads a manifest to its end. The Filelist may come before or after the
// volumes; its lines are handed to changes one by one, or passed over if that is
// nil. An error of changes ends the reading and is returned as it is.
//
// As in duplicity, field names may be in any case, lines that are not known are
// passed over, of entries with the same number the last one counts, and volumes
// numbered above the last entry are dropped: a backup that was killed and resumed
// logs 1, 2, 3, 2 and has two volumes.
//
// A text that is no manifest, or is beyond the limits of this package, gives a
// *SyntaxError; an error of r is wrapped. There is no Manifest then. One that takes
// more than memory bytes, DefaultMemory if that is 0, is an ErrTooLarge.
func Read(r io.Reader, memory int64, changes func(Change) error) (*Manifest, error) {
	if memory == 0 {
		memory = DefaultMemory
	}
	p := &parser{
		in:      bufio.NewReaderSize(r, MaxLine),
		changes: changes,
		limit:   memory,
		m:       Manifest{Listed: -1},
	}
	for {
		line, err := p.next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = p.parse(line)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := p.endVolume(); err != nil {
		return nil, err
	}
	p.m.settle()
	return &p.m, nil
}

// parser holds what Read knows between two lines.
type parser struct {
	in      *bufio.Reader
	changes func(Change) error
	m       Manifest
	line    int   // number of the line in hand
	limit   int64 // bytes of memory that m may take
	held    int64 // bytes of memory that it takes

	hasHost, hasDir bool // the first line of each counts

	volume           *Volume // entry in hand, the last of m.Volumes
	hasStart, hasEnd bool    // of volume
	inList           bool    // among the lines of the Filelist
}

// next returns the next line without its end; it is good until the next call. A
// last line that is not ended counts.
func (p *parser) next() ([]byte, error) {
	line, err := p.in.ReadSlice('\n')
	if err == io.EOF && len(line) == 0 {
		return nil, io.EOF
	}
	p.line++
	switch {
	case err == bufio.ErrBufferFull:
		return nil, p.errorf("longer than %d bytes", MaxLine)
	case err != nil && err != io.EOF:
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return bytes.TrimSuffix(line, []byte("\n")), nil
}

func (p *parser) errorf(format string, args ...any) error {
	return &SyntaxError{p.line, fmt.Sprintf(format, args...)}
}

// parse takes in one line. The words that open a section count at the beginning of
// a line only; fields are indented, though that is not insisted upon.
func (p *parser) parse(line []byte) error {
	if rest, ok := cutWord(line, "volume"); ok {
		return p.beginVolume(rest)
	}
	if rest, ok := cutWord(line, "hostname"); ok {
		return p.hostname(rest)
	}
	if rest, ok := cutWord(line, "localdir"); ok {
		return p.localDir(rest)
	}
	if rest, ok := cutWord(line, "filelist"); ok {
		return p.beginList(rest)
	}
	switch {
	case p.inList:
		return p.change(line)
	case p.volume != nil:
		return p.field(line)
	}
	return nil
}

// cutWord removes the word, in any case, and one byte of white space.
func cutWord(line []byte, word string) (rest []byte, ok bool) {
	n := len(word)
	if len(line) <= n || !isSpace(line[n]) || !equalFold(line[:n], word) {
		return nil, false
	}
	return line[n+1:], true
}

// equalFold compares with a word in lower-case ASCII, and unlike bytes.EqualFold
// takes no other letters for it.
func equalFold(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

func (p *parser) hostname(rest []byte) error {
	if !p.hasHost {
		p.hasHost, p.m.Hostname = true, string(rest)
	}
	return nil
}

func (p *parser) localDir(rest []byte) error {
	if p.hasDir {
		return nil
	}
	dir, err := unquote(rest)
	if err != nil {
		return p.errorf("Localdir: %v", err)
	}
	if len(dir) > MaxPath {
		return p.errorf("Localdir longer than %d bytes", MaxPath)
	}
	p.hasDir, p.m.LocalDir = true, string(dir)
	return nil
}

// beginVolume reads what follows the word Volume: a number and a colon.
func (p *parser) beginVolume(rest []byte) error {
	if err := p.endVolume(); err != nil {
		return err
	}
	p.inList = false
	field, _ := cutField(rest)
	digits, _, colon := bytes.Cut(field, []byte(":"))
	number, ok := parseInt(digits, MaxVolumes)
	if !colon || !ok || number < 1 {
		return p.errorf("no volume number from 1 to %d and colon", MaxVolumes)
	}
	if len(p.m.Volumes) == MaxVolumes {
		return p.errorf("more than %d entries of volumes", MaxVolumes)
	}
	if err := p.hold(volumeBytes); err != nil {
		return err
	}
	p.m.Volumes = append(p.m.Volumes, Volume{Number: number})
	p.volume = &p.m.Volumes[len(p.m.Volumes)-1]
	p.hasStart, p.hasEnd = false, false
	return nil
}

// endVolume checks that the entry in hand, if there is one, is whole.
func (p *parser) endVolume() error {
	if p.volume == nil {
		return nil
	}
	number := p.volume.Number
	p.volume = nil
	switch {
	case !p.hasStart:
		return p.errorf("the entry of volume %d, which ends here, has no StartingPath", number)
	case !p.hasEnd:
		return p.errorf("the entry of volume %d, which ends here, has no EndingPath", number)
	}
	return nil
}

// field reads a line of the entry in hand.
func (p *parser) field(line []byte) (err error) {
	name, rest := cutField(line)
	switch {
	case equalFold(name, "startingpath"):
		p.volume.Start, err = p.position(rest)
		p.hasStart = true
	case equalFold(name, "endingpath"):
		p.volume.End, err = p.position(rest)
		p.hasEnd = true
		if p.volume.End.Path == p.volume.Start.Path {
			p.volume.End.Path = p.volume.Start.Path // one string in memory
		}
	case equalFold(name, "hash"):
		err = p.hash(rest)
	}
	return err
}

// position reads a path and, if there is one, the number of a block.
func (p *parser) position(rest []byte) (pos Position, err error) {
	field, rest := cutField(rest)
	if len(field) == 0 {
		return pos, p.errorf("no path")
	}
	// The block comes first: decoding changes the line in place.
	if block, _ := cutField(rest); len(block) > 0 {
		var ok bool
		if pos.Block, ok = parseInt(block, MaxBlock); !ok {
			return pos, p.errorf("block number is not 0 to %d", MaxBlock)
		}
	}
	if pos.Path, err = decodePath(field); err != nil {
		return pos, p.errorf("%v", err)
	}
	return pos, p.hold(len(pos.Path))
}

func (p *parser) hash(rest []byte) error {
	algorithm, rest := cutField(rest)
	digits, _ := cutField(rest)
	h := Hash{internAlgorithm(algorithm), string(digits)}
	if err := h.check(); err != nil {
		return p.errorf("%v", err)
	}
	if len(p.volume.Hashes) == MaxHashes {
		return p.errorf("more than %d hashes of volume %d", MaxHashes, p.volume.Number)
	}
	p.volume.Hashes = append(p.volume.Hashes, h)
	return p.hold(hashBytes + len(algorithm) + len(digits))
}

// internAlgorithm spares the one algorithm that is really used its allocation.
func internAlgorithm(b []byte) string {
	if string(b) == "SHA1" {
		return "SHA1"
	}
	return string(b)
}

// Memory taken by entries, generously: that of a grown slice, rounded up.
const (
	volumeBytes = 128
	hashBytes   = 64
)

// hold counts memory.
func (p *parser) hold(n int) error {
	if p.held += int64(n); p.held > p.limit {
		return fmt.Errorf("%w: more than %d bytes, in line %d", ErrTooLarge, p.limit, p.line)
	}
	return nil
}

// beginList reads the count behind the word Filelist.
func (p *parser) beginList(rest []byte) error {
	if err := p.endVolume(); err != nil {
		return err
	}
	if p.m.Listed >= 0 {
		return p.errorf("a second Filelist")
	}
	field, _ := cutField(rest)
	n, ok := parseInt(field, maxListed)
	if !ok {
		return p.errorf("no count of the Filelist from 0 to %d", maxListed)
	}
	p.inList, p.m.Listed = true, n
	return nil
}

// change reads a line of the Filelist. The count is a claim only, so nothing is
// made of it. Blank lines, and such as are not indented, are no part of the list.
func (p *parser) change(line []byte) error {
	if len(line) == 0 || !isSpace(line[0]) {
		return nil
	}
	word, rest := cutField(line)
	if len(word) == 0 {
		return nil
	}
	p.m.Changes++
	if p.changes == nil {
		return nil
	}
	c := Change{Word: internWord(word)}
	if c.Word == "" {
		return p.errorf("a change that is not new, changed or deleted")
	}
	field, _ := cutField(rest)
	var err error
	if c.Path, err = decodePath(field); err != nil {
		return p.errorf("%v", err)
	}
	return p.changes(c)
}

// internWord returns the word of a Change, "" if it is none.
func internWord(b []byte) string {
	for _, w := range []string{New, Changed, Deleted} {
		if equalFold(b, w) {
			return w
		}
	}
	return ""
}

// parseInt reads decimal digits as a number of at most limit.
func parseInt(b []byte, limit int) (int, bool) {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int(c-'0'); n > limit {
			return 0, false
		}
	}
	return n, len(b) > 0
}

// settle puts the entries in order: of those with one number the last is kept, and
// none numbered above the last one read.
func (m *Manifest) settle() {
	v := m.Volumes
	if len(v) == 0 {
		return
	}
	last := v[len(v)-1].Number
	byNumber := func(a, b Volume) int { return cmp.Compare(a.Number, b.Number) }
	if !slices.IsSortedFunc(v, byNumber) {
		slices.SortStableFunc(v, byNumber)
	}
	kept := v[:0]
	for i := range v {
		if v[i].Number > last {
			break
		}
		if i+1 < len(v) && v[i+1].Number == v[i].Number {
			continue
		}
		kept = append(kept, v[i])
	}
	clear(v[len(kept):])
	m.Volumes = kept
}
