package toc_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"hindsight/chain/codec"
	"hindsight/chain/difftar"
	"hindsight/chain/toc"
)

// The JSON of golden objects has names of its own, which do not change with the code.
type (
	dumpContent struct {
		Set        string       `json:"set"`
		Volumes    []dumpObject `json:"volumes"`
		Signatures *dumpObject  `json:"signatures"`
		Entries    []dumpEntry  `json:"entries"`
	}
	dumpObject struct {
		Number  int      `json:"number,omitempty"`
		Size    int64    `json:"size"`
		SHA1    string   `json:"sha1"`
		Table   string   `json:"table"`
		Message string   `json:"message,omitempty"`
		Blocks  []string `json:"blocks,omitempty"`
		Runs    []string `json:"runs,omitempty"`
	}
	dumpEntry struct {
		Path      string   `json:"path"`
		Kind      string   `json:"kind"`
		Meta      string   `json:"meta,omitempty"`
		Target    string   `json:"target,omitempty"`
		Time      string   `json:"time,omitempty"`
		Size      int64    `json:"size"`
		Hash      string   `json:"hash,omitempty"`
		Stream    []string `json:"stream,omitempty"`
		Ops       []string `json:"ops,omitempty"`
		Signature string   `json:"signature,omitempty"`
		Xattrs    []string `json:"xattrs,omitempty"`
		Link      string   `json:"link,omitempty"`
	}
)

// dump is content as JSON that says everything.
func dump(t testing.TB, c *content) []byte {
	t.Helper()
	d := dumpContent{Set: fmt.Sprintf("from %d to %d, incremental %v", c.Header.Start, c.Header.End, c.Header.Inc)}
	for i := range c.Volumes {
		o := newDumpObject(&c.Volumes[i].Object)
		o.Number = c.Volumes[i].Number
		d.Volumes = append(d.Volumes, o)
	}
	if c.Signatures != nil {
		o := newDumpObject(c.Signatures)
		d.Signatures = &o
	}
	for i := range c.Entries {
		d.Entries = append(d.Entries, newDumpEntry(&c.Entries[i]))
	}
	text, err := json.MarshalIndent(d, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

func newDumpObject(o *toc.Object) dumpObject {
	d := dumpObject{Size: o.Size, SHA1: hex.EncodeToString(o.SHA1[:])}
	if o.Table == nil {
		d.Table = "none"
		return d
	}
	d.Table = fmt.Sprintf("deflated %v", o.Table.Deflated)
	if m := o.Table.Message; m != nil {
		d.Message = fmt.Sprintf("esk %x prefix %x head %d start %d len %d", m.ESK, m.Prefix, m.Layout.Head, m.Layout.Start, m.Layout.Len)
		for _, r := range m.Layout.Runs {
			d.Runs = append(d.Runs, fmt.Sprintf("%x times %d", r.Lengths, r.Count))
		}
	}
	for i := range o.Table.Blocks {
		d.Blocks = append(d.Blocks, dumpBlock(&o.Table.Blocks[i]))
	}
	return d
}

func dumpBlock(b *codec.Block) string {
	text := fmt.Sprintf("%d+%d stored %d+%d sum %x", b.TarOffset, b.Len, b.StoredOffset, b.StoredLen, b.Sum)
	if r := b.Resume; r != nil {
		text += fmt.Sprintf(" bit %d skip %d chunk %d window %x", r.Bit, r.Skip, r.Chunk, r.Window)
	}
	return text
}

func newDumpEntry(e *toc.Entry) dumpEntry {
	d := dumpEntry{Path: strconv.Quote(e.Path), Kind: e.Kind.String()}
	if e.Kind == difftar.Deleted {
		return d
	}
	d.Meta = fmt.Sprintf("%v %04o %d:%d %q:%q mtime %d device %d,%d", e.Type, e.Mode, e.UID, e.GID, e.Uname, e.Gname, e.MTime, e.Major, e.Minor)
	if e.Linkname != "" {
		d.Target = strconv.Quote(e.Linkname)
	}
	d.Time = fmt.Sprintf("%d s + %d ns", e.Sec, e.Nsec)
	d.Size = e.Size
	if e.HasHash {
		d.Hash = hex.EncodeToString(e.Hash[:])
	}
	for _, x := range e.Stream {
		d.Stream = append(d.Stream, fmt.Sprintf("%d+%d volume %d at %d head %d gap %d", x.Off, x.Len, x.Volume, x.Tar, x.Head, x.Gap))
	}
	for _, op := range e.Ops {
		d.Ops = append(d.Ops, fmt.Sprintf("copy %v %d+%d", op.Copy, op.Pos, op.Len))
	}
	if e.OpsUnknown {
		d.Ops = []string{"unknown"}
	}
	if e.SigLen > 0 {
		d.Signature = fmt.Sprintf("%d+%d", e.SigOffset, e.SigLen)
	}
	for _, x := range e.Xattrs {
		d.Xattrs = append(d.Xattrs, fmt.Sprintf("%q %x", x.Name, x.Value))
	}
	if e.Link != (toc.Link{}) {
		d.Link = fmt.Sprintf("%d:%d", e.Link.Dev, e.Link.Ino)
	}
	return d
}
