package codec

import "io"

// plainFormat stores blocks as they are: they are cut for the sake of the block
// table alone.
type plainFormat struct{ w io.Writer }

func (p *plainFormat) encode(_ *encoder, out []byte, b *block) ([]byte, error) {
	return append(out, b.plain...), nil
}

func (p *plainFormat) needs(b *block) bool { return len(b.plain) > 0 }

func (p *plainFormat) seal(b *block) error {
	_, err := p.w.Write(b.out)
	return err
}

func (p *plainFormat) margins() (head, tail int) { return 0, 0 }

func (p *plainFormat) finish() error { return nil }

func (p *plainFormat) abort() error { return nil }

func (p *plainFormat) size(encoded int64) int64 { return encoded }
