package index

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"hindsight/chain"
	"hindsight/chain/extent"
	"hindsight/chain/naming"
	"hindsight/chain/store"
	"hindsight/chain/toc"
)

// KeyAgain takes a dirent key apart and makes it again.
func KeyAgain(key []byte) ([]byte, error) {
	k, err := parseDirent(key)
	if err != nil {
		return nil, err
	}
	return appendDirent(nil, k.chain, k.parent, k.name), nil
}

// DirentKey is the key of a name.
func DirentKey(chain uint32, parent ID, name string) []byte {
	return appendDirent(nil, chain, parent, name)
}

// RecordAgain takes a record of the set own apart, and makes it again.
func RecordAgain(b []byte, own uint32) (again []byte, what string, err error) {
	var r record
	if err := parseRecord(b, own, &r); err != nil {
		return nil, "", err
	}
	return appendRecord(nil, own, &r), fmt.Sprintf("%+v", r), nil
}

// SampleRecords are records of every kind.
func SampleRecords() [][]byte {
	var out [][]byte
	add := func(r record) { out = append(out, appendRecord(nil, 7, &r)) }
	add(record{id: 16, deleted: true})
	file := record{id: 1 << 39, user: 1, group: 2, xattrs: true, link: 1 << 63, sigOff: 512, sigLen: 12, shift: -1, extents: extentsInline,
		inline: []extent.Extent{{Len: 5, Place: extent.Place{Set: 3, Volume: 2, Tar: 1024}}}}
	file.Type, file.Mode, file.MTime, file.Sec, file.Nsec, file.Size, file.HasHash, file.Hash[0] = 1, 0o4755, 1e9, -1, 5, 5, true, 9
	add(file)
	file.extents, file.inline, file.Size = extentsLarge, nil, 1<<40
	add(file)
	file.extents, file.Size, file.HasHash, file.Hash[0] = extentsUnknown, -1, false, 0
	add(file)
	dir := record{id: 1, implied: true}
	dir.Type, dir.Mode, dir.MTime, dir.Sec = 2, 0o755, 5, 5
	add(dir)
	link := record{id: 17}
	link.Type, link.Linkname, link.Size = 3, "to\xff", 3
	add(link)
	device := record{id: 18}
	device.Type, device.Major, device.Minor = 4, 8, 1<<20
	add(device)
	return out
}

// ExtentsAgain takes extents of the set own apart, and makes them again.
func ExtentsAgain(b []byte, own uint32) ([]byte, error) {
	d := decoder{b: b}
	e := d.extents(own)
	if err := d.end(); err != nil {
		return nil, err
	}
	return appendExtents(nil, own, e), nil
}

// EncodeExtents is what extents of the set own are stored as.
func EncodeExtents(own uint32, e []extent.Extent) []byte { return appendExtents(nil, own, e) }

// MetaAgain reads a meta file and writes it again.
func MetaAgain(b []byte) ([]byte, error) {
	m, err := parseMeta(b)
	if err != nil {
		return nil, err
	}
	return m.encode()
}

// SampleMeta is a meta file.
func SampleMeta() []byte {
	m := &meta{Schema: schema, Identity: hex.EncodeToString(make([]byte, 32)), Users: [][]byte{[]byte("\xffuser")}}
	m.Chains = []*chainMeta{{Number: 1, NextID: 20, Sets: []*setMeta{{Number: 5, End: 100, Source: FromTOC}}}}
	b, err := m.encode()
	if err != nil {
		panic(err)
	}
	return b
}

// OtherSchema is the meta file name as another version of the index would write it.
func OtherSchema(name string) ([]byte, error) {
	m, err := readMeta(name)
	if err != nil {
		return nil, err
	}
	m.Schema++
	return m.encode()
}

// Synthetic makes an index of one chain of sets that no store has, whose entries each
// yields.
func Synthetic(x *Index, sets int, each func(set int, add func(*toc.Entry) error) error) error {
	for n := range sets {
		ptr, err := readPointer(x.dir)
		if err != nil {
			ptr = pointer{NextSet: 1, NextChain: 1}
		}
		m := &meta{Schema: schema, Identity: x.identity}
		c := &chainMeta{NextID: firstID}
		if old := x.currentMeta(); old != nil {
			m = old.clone()
			c = m.Chains[0]
		}
		d, err := newDraft(x, ptr, &plan{meta: m})
		if err != nil {
			return err
		}
		s := &chain.Set{SetID: chain.SetID{Inc: n > 0, Start: naming.Time(1e9 + n - 1), End: naming.Time(1e9 + n)}, Manifest: &chain.Object{}}
		err = d.fill(c, s, FromTOC, func(in *ingest) error { return each(n, in.add) })
		if err == nil {
			err = d.publish()
		}
		if err = errors.Join(err, d.discard()); err != nil {
			return err
		}
	}
	return nil
}

// ScanFileAgain reads the scan file at a path and says how many entries are in it.
func ScanFileAgain(path string) (entries int, err error) {
	s, err := newScans("", nil)
	if err != nil {
		return 0, err
	}
	defer s.close()
	f, err := openScan(path, 1)
	if err != nil {
		return 0, err
	}
	for n := range f.blocks {
		list, _, err := f.entries(n, s.dec)
		if err != nil {
			return 0, err
		}
		entries += len(list)
		f.block(f.blocks[n].first)
	}
	_, err = f.load(f.table)
	return entries, err
}

// SampleScan writes a scan file.
func SampleScan(path string) error {
	s, err := newScans("", nil)
	if err != nil {
		return err
	}
	defer s.close()
	w, err := newScanWriter(path, s.enc)
	if err != nil {
		return err
	}
	for n := range 300 {
		e := toc.Entry{Path: fmt.Sprintf("dir/%03d", n), Kind: 1, Size: 9, Stream: []extent.Extent{{Len: 9, Place: extent.Place{Volume: 1, Tar: 512}}}}
		e.Type = 1
		if err := w.add(&e); err != nil {
			return err
		}
	}
	return w.finish([]byte("table"))
}

// TableAgain reads a table as it is kept, and makes it again.
func TableAgain(ctx context.Context, repo *chain.Repository, b []byte) ([]byte, error) {
	t, err := openTable(ctx, repo, b)
	if err != nil {
		return nil, err
	}
	return sealTable(ctx, repo, t)
}

// KeptTable is the table that a scan file keeps.
func KeptTable(path string) ([]byte, error) {
	f, err := openScan(path, 1)
	if err != nil {
		return nil, err
	}
	return f.load(f.table)
}

// SetClock lets a Scanner that nobody uses yet live in another time.
func (sc *Scanner) SetClock(now func() time.Time) { sc.now = now }

// Ahead is what fetches small objects ahead of their reader.
type Ahead = ahead

// NewAhead reads from st what belongs to sets.
func NewAhead(ctx context.Context, st store.Store, sets []*chain.Set) *Ahead {
	return newAhead(ctx, st, []work{{sets: sets}})
}

// End gives up what is on its way, and waits for it.
func (a *ahead) End() { a.end() }

// Held are the names of the objects that are on their way, or there and not read.
func (a *ahead) Held() (names []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, c := range a.coming {
		if c != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
