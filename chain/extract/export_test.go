package extract

import "hindsight/chain/difftar"

// Ledger is a ledger of payloads, for tests from outside.
type Ledger struct {
	blocks blockStore
	ledger ledger
}

// NewLedger returns a Ledger that keeps some bytes in memory.
func NewLedger(memory int64) *Ledger {
	l := &Ledger{}
	l.blocks.limit = memory
	l.ledger.store = &l.blocks
	return l
}

// Add adds a run of records, whose paths must ascend.
func (l *Ledger) Add(paths []string, payload func(path string) []byte) error {
	w := newRunWriter(&l.blocks)
	for _, p := range paths {
		if err := w.add(p, payload(p)); err != nil {
			w.abort()
			return err
		}
	}
	r, err := w.finish()
	if err != nil {
		r.close()
		return err
	}
	return l.ledger.add(r)
}

// Each calls f with all records in order.
func (l *Ledger) Each(f func(path string, payload []byte) error) error { return l.ledger.each(nil, f) }

// Backwards calls f with all records in reverse order.
func (l *Ledger) Backwards(f func(path string, payload []byte) error) error {
	if err := l.ledger.compact(nil); err != nil {
		return err
	}
	return l.ledger.backwards(func([]byte) bool { return true }, f)
}

// View looks up paths, which must not descend.
func (l *Ledger) View(from string) (find func(path string) ([]byte, bool, error), err error) {
	v, err := l.ledger.view(from)
	if err != nil {
		return nil, err
	}
	return v.find, nil
}

// Runs is the number of runs; Held and Live the bytes in memory and in the file.
func (l *Ledger) Runs() int   { return len(l.ledger.runs) }
func (l *Ledger) Held() int64 { return l.blocks.held }
func (l *Ledger) Live() int64 { return l.blocks.live }

// Close gives everything back.
func (l *Ledger) Close() {
	l.ledger.close()
	l.blocks.close()
}

// Encode and Decode are a record's way through a run.
func Encode(s uint8, h Handle, m difftar.Meta) []byte {
	return (&record{state: state(s), handle: h, meta: m}).append(nil)
}

// Recode decodes a record and encodes it again.
func Recode(b []byte) ([]byte, error) {
	r, err := decodeRecord(b)
	if err != nil {
		return nil, err
	}
	return r.append(nil), nil
}

// SetMode sets the mode of a fifo or device in an open directory.
var SetMode = setMode
