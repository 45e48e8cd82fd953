package index

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/chacha20poly1305"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/toc"
)

// A volume's table may have windows: bytes of files. Where the volume is encrypted they
// are kept sealed, by a key that is made of the volume's session key. So who cannot
// read the volume cannot read them, and no key is kept.
//
//	0 | table                              nothing to be sealed
//	1 | nonce | sealed | table             XChaCha20-Poly1305
//	2 | length, hash of each block         a Sequential one
//
// The table is as toc.AppendTable makes it; sealed has a length before it and is the
// windows that the table lacks, of each block that has one, each with its length before it.
const (
	tableOpen       = 0
	tableSealed     = 1
	tableSequential = 2

	sealPurpose = "hindsight index 2026-11-25 windows of a volume's table"
)

// sealTable makes of a table what may be kept.
func sealTable(ctx context.Context, repo *chain.Repository, t *codec.Table) ([]byte, error) {
	if t.Sequential {
		return appendSequence([]byte{tableSequential}, t), nil
	}
	bare, windows := splitWindows(t)
	if t.Message == nil || windows == nil {
		return toc.AppendTable([]byte{tableOpen}, t), nil
	}
	box, err := tableBox(ctx, repo, t.Message)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, box.NonceSize())
	rand.Read(nonce)
	b := append([]byte{tableSealed}, nonce...)
	b = appendText(b, box.Seal(nil, nonce, windows, nil))
	return toc.AppendTable(b, bare), nil
}

func appendSequence(b []byte, t *codec.Table) []byte {
	for i := range t.Blocks {
		k := &t.Blocks[i]
		b = append(binary.AppendUvarint(b, uint64(k.Len)), k.Sum[:]...)
	}
	return b
}

func (d *decoder) sequence() (*codec.Table, error) {
	t := &codec.Table{Sequential: true}
	for len(d.b) > 0 {
		if len(t.Blocks) == codec.MaxBlocks {
			d.fail("blocks")
			break
		}
		k := codec.Block{TarOffset: t.Size(), Len: int32(d.uint("length", codec.MaxPlain))}
		copy(k.Sum[:], d.bytes("hash", len(k.Sum)))
		if d.err != nil {
			break
		}
		t.Blocks = append(t.Blocks, k)
	}
	err := d.end()
	if err == nil {
		err = t.Check()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return t, nil
}

// splitWindows copies a table without its windows, and lists these; nil if it has none.
func splitWindows(t *codec.Table) (bare *codec.Table, windows []byte) {
	c := *t
	c.Blocks = slices.Clone(t.Blocks)
	for i := range c.Blocks {
		b := &c.Blocks[i]
		if b.Resume == nil || len(b.Resume.Window) == 0 {
			continue
		}
		windows = binary.AppendUvarint(windows, uint64(i))
		windows = appendText(windows, b.Resume.Window)
		r := *b.Resume
		r.Window = nil
		b.Resume = &r
	}
	return &c, windows
}

func tableBox(ctx context.Context, repo *chain.Repository, m *codec.Message) (cipher.AEAD, error) {
	if repo.Keys == nil {
		return nil, errors.New("read an encrypted volume: no keyring")
	}
	key, err := repo.Keys.SessionKey(ctx, m.ESK, m.Prefix)
	if err != nil {
		return nil, err
	}
	secret := key.Derive(sealPurpose)
	return chacha20poly1305.NewX(secret[:])
}

// openTable reads what sealTable made. What makes no sense is ErrDamaged.
func openTable(ctx context.Context, repo *chain.Repository, b []byte) (*codec.Table, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: table of no bytes", ErrDamaged)
	}
	kind, d := b[0], decoder{b: b[1:]}
	var nonce, sealed []byte
	switch kind {
	case tableSequential:
		return d.sequence()
	case tableOpen:
	case tableSealed:
		nonce = d.bytes("nonce", chacha20poly1305.NonceSizeX)
		sealed = d.text("windows", maxLarge)
	default:
		d.fail("kind of table")
	}
	if d.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, d.err)
	}
	t, err := toc.ParseTable(d.b)
	if err == nil && t == nil {
		err = errors.New("no table")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if kind == tableSealed {
		return t, unseal(ctx, repo, t, nonce, sealed)
	}
	return t, nil
}

// unseal puts the windows back into a table.
func unseal(ctx context.Context, repo *chain.Repository, t *codec.Table, nonce, sealed []byte) error {
	if t.Message == nil {
		return fmt.Errorf("%w: sealed windows of what is not encrypted", ErrDamaged)
	}
	box, err := tableBox(ctx, repo, t.Message)
	if err != nil {
		return err
	}
	windows, err := box.Open(nil, nonce, sealed, nil)
	if err != nil {
		return fmt.Errorf("%w: windows: %w", ErrDamaged, err)
	}
	d := decoder{b: windows}
	for len(d.b) > 0 {
		i := d.uint("block", uint64(len(t.Blocks)))
		window := d.text("window", codec.MaxWindow)
		if d.err == nil && (i >= uint64(len(t.Blocks)) || t.Blocks[i].Resume == nil) {
			d.fail("window of a block that needs none")
		}
		if d.err == nil {
			t.Blocks[i].Resume.Window = window
		}
	}
	if err := d.end(); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return t.Check()
}
