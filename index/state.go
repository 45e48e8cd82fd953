package index

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"hindsight/chain"
	"hindsight/chain/difftar"
)

// State is the tree after a set as the index knows it, with the signatures of files in
// the archive's copies. It says of all paths what merging the signature archives would
// say, but for directories that no set tells of, and is for one goroutine.
type State struct {
	ctx   context.Context
	repo  *chain.Repository
	sets  []*chain.Set
	walk  *walker
	found *stored // that Next has handed out
	entry difftar.Entry
	read  int64 // bytes of its signature
	open  map[uint32]*chain.OldSignatures
}

var _ chain.ExactState = (*State)(nil)

// State tells the tree after the last of as many of the sets, which are a chain's from
// the full on, as the index has, and how many these are. It is nil if there are none.
func (x *Index) State(ctx context.Context, repo *chain.Repository, sets []*chain.Set) (*State, int, error) {
	g, err := x.acquire()
	if err == ErrGone {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	c, n := g.meta.covers(sets)
	if n == 0 {
		g.release()
		return nil, 0, nil
	}
	v := g.view(c.Number, c.Sets[n-1].version())
	w, err := newWalker(v, Root)
	if err != nil {
		v.release()
		if err == ErrNotExist { // there is no root: the sets say nothing at all
			return nil, 0, nil
		}
		return nil, 0, err
	}
	return &State{ctx: ctx, repo: repo, sets: sets[:n], walk: w, open: make(map[uint32]*chain.OldSignatures)}, n, nil
}

// covers finds the chain that begins with the most of the sets.
func (m *meta) covers(sets []*chain.Set) (best *chainMeta, most int) {
	for _, c := range m.Chains {
		n := 0
		for n < len(c.Sets) && n < len(sets) && c.Sets[n].same(sets[n]) && c.Sets[n].Source != FromVolumes {
			n++
		}
		if n > most {
			best, most = c, n
		}
	}
	return best, most
}

// Next implements chain.State.
func (s *State) Next() (*difftar.Entry, error) {
	for {
		found, err := s.walk.next()
		if err != nil {
			return nil, err
		}
		if found.implied {
			continue
		}
		s.found, s.read = found, 0
		s.entry = difftar.Entry{Path: s.walk.path, Kind: difftar.Snapshot, Meta: found.Meta}
		g := s.walk.v.g
		s.entry.Uname, s.entry.Gname = g.owner(g.meta.Users, found.user), g.owner(g.meta.Groups, found.group)
		s.entry.MTime += found.shift
		if found.sigLen > 0 {
			s.entry.Kind, s.entry.Size = difftar.Signature, found.sigLen
		}
		return &s.entry, nil
	}
}

// Exact implements chain.ExactState.
func (s *State) Exact() chain.Exact { return chain.Exact{Nsec: s.found.Nsec, Size: s.found.Size} }

// Read implements chain.State: it reads the signature.
func (s *State) Read(p []byte) (int, error) {
	p = p[:min(int64(len(p)), s.found.sigLen-s.read)]
	if s.read == s.found.sigLen {
		return 0, io.EOF
	}
	sigs, err := s.signatures()
	if err != nil {
		return 0, err
	}
	if s.read == 0 {
		if err := s.checkHeader(sigs); err != nil {
			return 0, err
		}
	}
	n, err := sigs.Read(s.ctx, p, s.found.sigOff+s.read)
	s.read += int64(n)
	return n, err
}

// signatures opens those of the set that the entry was stored by.
func (s *State) signatures() (*chain.OldSignatures, error) {
	number := s.found.changed
	if o := s.open[number]; o != nil {
		return o, nil
	}
	at := s.walk.v.g.byNumber[number].at
	if at >= len(s.sets) {
		return nil, fmt.Errorf("%w: a version from after its time", ErrDamaged)
	}
	o, err := s.repo.OldSignatures(s.ctx, s.sets[at])
	if err != nil {
		return nil, err
	}
	s.open[number] = o
	return o, nil
}

// checkHeader makes sure that the signature is the file's: a delta that is made with
// another one restores nothing. A header tells all of a name that is short and ASCII.
func (s *State) checkHeader(sigs *chain.OldSignatures) error {
	const size = 512
	block := make([]byte, size)
	for n := 0; n < size; {
		k, err := sigs.Read(s.ctx, block[n:], s.found.sigOff-size+int64(n))
		if err != nil {
			return fmt.Errorf("%w: signature of %.200q: %w", ErrDamaged, s.entry.Path, err)
		}
		n += k
	}
	h, err := tar.NewReader(bytes.NewReader(block)).Next()
	name := "signature/" + s.entry.Path // duplicity-format.md §4.1
	short := len(name) < 100 && strings.IndexFunc(name, func(r rune) bool { return r >= 0x80 }) < 0
	if err != nil || h.Size != s.found.sigLen || short && h.Name != name {
		return fmt.Errorf("%w: what it has for the signature of %.200q is something else", ErrDamaged, s.entry.Path)
	}
	return nil
}

// Close implements chain.State.
func (s *State) Close() error {
	s.walk.close()
	s.walk.v.release()
	return nil
}
