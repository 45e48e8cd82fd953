package storetest

import (
	"context"
	"errors"
	"io"
	"iter"
	"math"
	"path"
	"sync"
	"time"

	"hindsight/chain/store"
)

// Op names an operation of a store in a Rule and in a Record.
type Op string

// The operations of store.Store, store.Copier and store.Remains.
const (
	List          Op = "list"
	Get           Op = "get"
	Put           Op = "put"
	Delete        Op = "delete"
	Copy          Op = "copy"
	ListRemains   Op = "list-remains"
	DeleteRemains Op = "delete-remains"
)

// ErrFault is what an operation fails with by a rule that names no error.
var ErrFault = errors.New("injected fault")

// Effect is what happens to an operation that a rule hits.
type Effect uint8

const (
	// Fail fails the operation; the store never hears of it.
	Fail Effect = iota
	// Lost carries the operation out and fails it all the same, as when an answer is
	// lost. The reader of a Get is closed; a List fails behind its last object.
	Lost
	// Cut fails the body of a Get after At bytes, and a List after At objects. A Put's
	// body fails before the part that passes At bytes, or at its end, so that nothing
	// is stored. Other operations fail as by Fail.
	Cut
	// Truncate ends the reader of a Get after At bytes as if the object ended there.
	Truncate
	// Flip inverts the lowest bit of byte At of what a Get's reader gives.
	Flip
	// Stall blocks the operation until its context is done.
	Stall
	// Kill fails the operation as Cut does, and then every operation there is: the
	// program is as good as dead to the store.
	Kill
)

// Rule says which operations a Fault breaks, and how. "Fail the fifth put of a
// signature file" is Rule{Op: Put, Match: "*.sigtar*", Nth: 5}.
type Rule struct {
	Op     Op     // empty: any
	Match  string // pattern of path.Match for the object's name, or a List's prefix; empty: any
	Nth    int    // the first matching operation to be hit, from 1; 0 is 1
	Times  int    // how many in a row are hit; 0 is 1, negative is all from then on
	Effect Effect
	At     int64 // see Effect; for Truncate and Flip only Get is hit
	Err    error // what it fails with; nil is ErrFault
}

func (r *Rule) matches(op Op, name string) bool {
	if r.Op != "" && r.Op != op {
		return false
	}
	if (r.Effect == Truncate || r.Effect == Flip) && op != Get {
		return false
	}
	if r.Match == "" {
		return true
	}
	ok, err := path.Match(r.Match, name)
	if err != nil {
		panic("storetest: malformed pattern " + r.Match)
	}
	return ok
}

// hits says whether the n-th matching operation is hit.
func (r *Rule) hits(n int) bool {
	first, times := max(r.Nth, 1), r.Times
	if times == 0 {
		times = 1
	}
	return n >= first && (times < 0 || n-first < times)
}

func (r *Rule) err() error {
	if r.Err != nil {
		return r.Err
	}
	return ErrFault
}

// Fault is a store that breaks by rule. It is also a Copier, Remains and ShortParts; where the
// store within is not, these fail with errors.ErrUnsupported.
type Fault struct {
	inner store.Store

	mu    sync.Mutex
	rules []Rule
	seen  []int // operations that matched, per rule
	fired []int // operations that were hit, per rule
	dead  *Rule // the Kill that hit
}

var (
	_ store.Store      = (*Fault)(nil)
	_ store.Copier     = (*Fault)(nil)
	_ store.Remains    = (*Fault)(nil)
	_ store.ShortParts = (*Fault)(nil)
)

// NewFault returns inner with the faults of rules. Every rule counts for itself;
// where several hit one operation, the first of them has effect.
func NewFault(inner store.Store, rules ...Rule) *Fault {
	return &Fault{inner: inner, rules: rules, seen: make([]int, len(rules)), fired: make([]int, len(rules))}
}

// Fired is how many operations rule i has hit, in the order given to NewFault: a
// test whose fault never struck has shown nothing.
func (f *Fault) Fired(i int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired[i]
}

// hit returns the rule that op on name falls to, or nil.
func (f *Fault) hit(op Op, name string) *Rule {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dead != nil {
		return &Rule{Err: f.dead.err()}
	}
	var hit *Rule
	for i := range f.rules {
		r := &f.rules[i]
		if !r.matches(op, name) {
			continue
		}
		f.seen[i]++
		if hit == nil && r.hits(f.seen[i]) {
			f.fired[i]++
			hit = r
		}
	}
	if hit != nil && hit.Effect == Kill {
		f.dead = hit
	}
	return hit
}

// simple runs an operation that is all or nothing.
func (f *Fault) simple(ctx context.Context, op Op, name string, do func() error) error {
	r := f.hit(op, name)
	if r == nil {
		return do()
	}
	switch r.Effect {
	case Lost:
		if err := do(); err != nil {
			return err
		}
	case Stall:
		<-ctx.Done()
		return opError(string(op), name, ctx.Err())
	}
	return opError(string(op), name, r.err())
}

// List is described at store.Store.
func (f *Fault) List(ctx context.Context, prefix string) iter.Seq2[store.Object, error] {
	return f.list(ctx, List, prefix, f.inner.List(ctx, prefix))
}

func (f *Fault) list(ctx context.Context, op Op, prefix string, inner iter.Seq2[store.Object, error]) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		r := f.hit(op, prefix)
		if r == nil {
			inner(yield)
			return
		}
		err := r.err()
		var left int64 // objects until r strikes
		switch r.Effect {
		case Lost:
			left = math.MaxInt64
		case Cut, Kill:
			left = r.At
		case Stall:
			<-ctx.Done()
			err = ctx.Err()
		}
		if left > 0 && !yieldSome(inner, left, yield) {
			return
		}
		yield(store.Object{}, opError(string(op), prefix, err))
	}
}

// yieldSome passes on up to n objects of inner, and says whether the loop goes on.
func yieldSome(inner iter.Seq2[store.Object, error], n int64, yield func(store.Object, error) bool) bool {
	for o, err := range inner {
		if !yield(o, err) || err != nil {
			return false
		}
		if n--; n == 0 {
			break
		}
	}
	return true
}

// Get is described at store.Store.
func (f *Fault) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	r := f.hit(Get, name)
	if r != nil && r.Effect == Stall {
		<-ctx.Done()
		return nil, opError("get", name, ctx.Err())
	}
	if r != nil && r.Effect == Fail {
		return nil, opError("get", name, r.err())
	}
	rc, err := f.inner.Get(ctx, name, off, length)
	if r == nil || err != nil {
		return rc, err
	}
	if r.Effect == Lost {
		return nil, errors.Join(opError("get", name, r.err()), rc.Close())
	}
	return &faultReader{ReadCloser: rc, rule: r, name: name}, nil
}

// faultReader is what a Get gives that a Cut, Kill, Truncate or Flip has hit.
type faultReader struct {
	io.ReadCloser
	rule *Rule
	name string
	pos  int64 // bytes given so far
}

func (fr *faultReader) Read(p []byte) (int, error) {
	at := fr.rule.At - fr.pos // to the place of the fault
	if fr.rule.Effect != Flip {
		if at <= 0 && fr.rule.Effect == Truncate {
			return 0, io.EOF
		}
		if at <= 0 {
			return 0, opError("get", fr.name, fr.rule.err())
		}
		p = p[:min(int64(len(p)), at)]
	}
	n, err := fr.ReadCloser.Read(p)
	if fr.rule.Effect == Flip && at >= 0 && at < int64(n) {
		p[at] ^= 1
	}
	fr.pos += int64(n)
	return n, err
}

// Put is described at store.Store.
func (f *Fault) Put(ctx context.Context, name string, body store.Body, opt store.PutOptions) error {
	r := f.hit(Put, name)
	if r == nil {
		return f.inner.Put(ctx, name, body, opt)
	}
	switch r.Effect {
	case Cut, Kill:
		return f.inner.Put(ctx, name, &cutBody{Body: body, left: r.At, err: r.err()}, opt)
	case Lost:
		if err := f.inner.Put(ctx, name, body, opt); err != nil {
			return err
		}
	case Stall:
		<-ctx.Done()
		return opError("put", name, ctx.Err())
	}
	return opError("put", name, r.err())
}

// cutBody fails before the part that would take it past left bytes, or at its end.
type cutBody struct {
	store.Body
	left int64
	err  error
}

func (b *cutBody) Next(ctx context.Context) (store.Part, error) {
	p, err := b.Body.Next(ctx)
	if err == io.EOF {
		return p, b.err
	}
	if err != nil {
		return p, err
	}
	if b.left -= int64(len(p.Data)); b.left < 0 {
		p.Release()
		return store.Part{}, b.err
	}
	return p, nil
}

// Delete is described at store.Store.
func (f *Fault) Delete(ctx context.Context, name string) error {
	return f.simple(ctx, Delete, name, func() error { return f.inner.Delete(ctx, name) })
}

// Copy is described at store.Copier. Rules see the name of the new object.
func (f *Fault) Copy(ctx context.Context, src, dst string) error {
	return f.simple(ctx, Copy, dst, func() error { return copyIn(ctx, f.inner, src, dst) })
}

// ListRemains is described at store.Remains.
func (f *Fault) ListRemains(ctx context.Context, olderThan time.Time) iter.Seq2[store.Object, error] {
	return f.list(ctx, ListRemains, "", listRemainsIn(ctx, f.inner, olderThan))
}

// DeleteRemains is described at store.Remains.
func (f *Fault) DeleteRemains(ctx context.Context, name string) error {
	return f.simple(ctx, DeleteRemains, name, func() error { return deleteRemainsIn(ctx, f.inner, name) })
}

// Close closes the store within.
func (f *Fault) Close() error { return f.inner.Close() }

// PartSize is described at store.ShortParts.
func (f *Fault) PartSize() int { return store.PartSizeOf(f.inner) }
