package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"hindsight/chain"
	"hindsight/chain/manifest"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
)

// health is what is wrong with a collection, and what could not be found out.
type health struct {
	Problems []problem
	Unread   int64 // manifests that need a key, a passphrase or a right that is not given
	Wrong    error // of the first of them that the passphrase does not open; nil: there is none
}

// problem is something wrong with one set, and what to do about it.
type problem struct {
	Set     string `json:"set,omitempty"` // none: the whole repository
	Problem string `json:"problem"`
	Advice  string `json:"advice"`
}

func (h *health) add(s *chain.Set, advice, format string, args ...any) {
	h.Problems = append(h.Problems, problem{s.SetID.String(), fmt.Sprintf(format, args...), advice})
}

const (
	adviceCleanup    = "hindsight cleanup removes it"
	adviceIncomplete = "if the manifest exists elsewhere (another copy, duplicity's archive dir), put it back before any cleanup, which deletes the set"
	adviceFull       = "make a full backup soon; restore --ignore-errors saves what it can"
)

const problemIncomplete = "it is incomplete: interrupted, or its manifest is lost"

// examine looks for what is missing or too much. It reads manifests only.
func (j *job) examine(ctx context.Context, repo *repository, col *chain.Collection) (*health, error) {
	h := &health{}
	if len(col.Chains) == 0 {
		h.Problems = append(h.Problems, problem{
			Problem: "there is no complete backup",
			Advice:  "make one, or check the URL and the --file-prefix options",
		})
	}
	for _, ch := range col.Chains {
		for _, s := range ch.Sets {
			if err := j.examineSet(ctx, repo, s, h); err != nil {
				return nil, err
			}
		}
	}
	for _, s := range col.Incomplete {
		h.add(s, adviceIncomplete, problemIncomplete)
	}
	for _, s := range col.Orphans {
		h.add(s, adviceCleanup, "the backup of %s that it builds on is missing", stamp(s.Start))
	}
	return h, nil
}

// examineSet looks at one set of a chain.
func (j *job) examineSet(ctx context.Context, repo *repository, s *chain.Set, h *health) error {
	if s.Signatures == nil {
		h.add(s, "restore works, but the next backup is full", "its signatures are missing")
	}
	for _, d := range s.Duplicates {
		h.add(s, "find out which one is right and remove the other", "%s and %s are the same part of it", d.First, d.Second)
	}
	if len(s.Duplicates) > 0 {
		return nil
	}
	missing, err := j.missing(ctx, repo, s, h)
	var corrupt *chain.CorruptError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, errUnread):
		h.Unread++
	case errors.As(err, &corrupt), errors.Is(err, pgp.ErrDecrypt):
		h.add(s, adviceFull, "its manifest cannot be read: %s", oneLine(err.Error()))
	case err != nil:
		return err
	}
	for _, n := range missing {
		h.add(s, adviceFull, "volume %d is missing", n)
	}
	return nil
}

// errUnread says that a manifest was not read for want of keys or rights.
var errUnread = errors.New("manifest not read")

// maxMissing bounds the volumes of one set that are told as missing.
const maxMissing = 100

// missing are the numbers of volumes that should be there: by the manifest, or where
// that cannot be read, those below the highest that is.
func (j *job) missing(ctx context.Context, repo *repository, s *chain.Set, h *health) ([]int, error) {
	there := make(map[int]bool, len(s.Volumes))
	highest := 0
	for _, v := range s.Volumes {
		there[v.Volume] = true
		highest = max(highest, v.Volume)
	}
	var lacking []int
	lack := func(n int) {
		if !there[n] && len(lacking) < maxMissing {
			lacking = append(lacking, n)
		}
	}
	err := errUnread
	if !s.Manifest.Encrypted || j.passphraseGiven() || len(j.opt.keyFiles) > 0 || j.opt.useAgent {
		m, merr := readableManifest(ctx, repo, s)
		if merr == nil {
			for _, v := range m.Volumes {
				lack(v.Number)
			}
			if n := s.Surplus(m); n > 0 {
				h.add(s, adviceFull, "its manifest lists up to volume %d, but there are more: it may have lost its end", m.Volumes[len(m.Volumes)-1].Number)
			}
			return lacking, nil
		}
		err = merr
		if h.Wrong == nil && errors.Is(merr, pgp.ErrWrongPassphrase) {
			h.Wrong = merr
		}
		for _, reason := range []error{pgp.ErrLocked, store.ErrPermission, store.ErrArchived} {
			if errors.Is(merr, reason) {
				err = errUnread
			}
		}
	}
	for n := 1; n < highest && len(lacking) < maxMissing; n++ {
		lack(n)
	}
	return lacking, err
}

// readableManifest is a set's manifest, or the copy in the cache where the store lets
// nobody read: that of a machine that may only write.
func readableManifest(ctx context.Context, repo *repository, s *chain.Set) (*manifest.Manifest, error) {
	m, err := repo.Manifest(ctx, s)
	if errors.Is(err, store.ErrPermission) {
		if local, lerr := repo.LocalManifest(ctx, s.SetID); lerr == nil {
			return local, nil
		}
	}
	return m, err
}

// print tells of sizes and health.
func (h *health) print(out io.Writer, col *chain.Collection) {
	sets, objects, bytes := int64(0), int64(0), int64(0)
	for _, s := range allSets(col) {
		sets++
		objects += int64(len(s.Objects()))
		bytes += s.Size()
	}
	fmt.Fprintf(out, "\nStored: %s, %s, %s\n", plural(sets, "backup set"), plural(objects, "object"), ibytes(bytes))
	for i, ch := range col.Chains {
		var size int64
		for _, s := range ch.Sets {
			size += s.Size()
		}
		fmt.Fprintf(out, "Chain %d of %d: %s, %s, %s\n", i+1, len(col.Chains), stamp(ch.Start()), composition(ch.Sets), ibytes(size))
	}
	if h.Unread > 0 {
		fmt.Fprintf(out, "Not checked for missing volumes, without their passphrase, their key or the right to read them: %s\n", plural(h.Unread, "backup set"))
	}
	switch {
	case len(h.Problems) == 0 && h.Unread > 0:
		fmt.Fprint(out, "Health: no object is missing, as far as could be checked (contents are not read)\n")
		return
	case len(h.Problems) == 0:
		fmt.Fprint(out, "Health: no object is missing (contents are not read)\n")
		return
	}
	fmt.Fprintf(out, "Health: %s\n", plural(int64(len(h.Problems)), "problem"))
	for _, p := range h.Problems {
		text := oneLine(p.Problem) + "; " + p.Advice
		if p.Set != "" {
			text = p.Set + ": " + text
		}
		fmt.Fprintf(out, "  %s\n", text)
	}
}

func allSets(col *chain.Collection) []*chain.Set {
	var all []*chain.Set
	for _, ch := range col.Chains {
		all = append(all, ch.Sets...)
	}
	for _, sets := range [][]*chain.Set{col.Orphans, col.Superseded, col.Incomplete} {
		all = append(all, sets...)
	}
	return all
}

// collectionStatus is what status shows, as JSON. Sizes are in bytes.
type collectionStatus struct {
	Type       string       `json:"type"` // status
	Healthy    bool         `json:"healthy"`
	Unchecked  int64        `json:"unchecked_sets"` // for want of a passphrase, a key or a right
	Problems   []problem    `json:"problems"`
	Chains     [][]setState `json:"chains"` // by end time, each with its full first
	Orphans    []setState   `json:"orphans"`
	Superseded []setState   `json:"superseded"`
	Incomplete []setState   `json:"incomplete"`
}

// setState is one set of a collectionStatus.
type setState struct {
	Type       string    `json:"type"` // full or incremental
	Time       time.Time `json:"time"`
	Volumes    int       `json:"volumes"`
	Size       int64     `json:"size"`
	Encrypted  bool      `json:"encrypted"`
	Signatures bool      `json:"signatures"` // are there
}

func describe(col *chain.Collection, h *health) collectionStatus {
	c := collectionStatus{
		Type:    "status",
		Healthy: len(h.Problems) == 0, Unchecked: h.Unread, Problems: append([]problem{}, h.Problems...),
		Chains: [][]setState{}, Orphans: describeSets(col.Orphans),
		Superseded: describeSets(col.Superseded), Incomplete: describeSets(col.Incomplete),
	}
	for _, ch := range col.Chains {
		c.Chains = append(c.Chains, describeSets(ch.Sets))
	}
	return c
}

func describeSets(sets []*chain.Set) []setState {
	states := []setState{} // never null
	for _, s := range sets {
		state := setState{
			Type: setType(s.Inc), Time: s.End.Time().UTC(), Volumes: len(s.Volumes), Size: s.Size(), Signatures: s.Signatures != nil,
		}
		for _, o := range s.Objects() {
			state.Encrypted = state.Encrypted || o.Encrypted
		}
		states = append(states, state)
	}
	return states
}
