package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"hindsight/chain"
	"hindsight/chain/extract"
	"hindsight/chain/manifest"
	"hindsight/chain/store"
)

// forecast is what a dry run says of a restore beside what is read and written.
type forecast struct {
	needed []neededVolume
	cold   []chain.Object  // of those, what must be thawed first
	keys   map[string]bool // of these
	asked  int             // of those, what somebody has asked for already
	rate   float64         // stored bytes a second that a sample gave; 0: unknown
}

// neededVolume is a volume that a restore may read.
type neededVolume struct {
	set    *chain.Set
	volume manifest.Volume
	object chain.Object
}

// neededVolumes are the volumes whose range holds something that is wanted, oldest set
// first. What is damaged or missing is an error if strict says so, and else left for the
// restore to tell.
func neededVolumes(ctx context.Context, repo *repository, sets []*chain.Set, filter extract.Filter, strict bool) ([]neededVolume, error) {
	var needed []neededVolume
	for _, s := range sets {
		m, err := repo.Manifest(ctx, s)
		if err != nil && (strict || ctx.Err() != nil) {
			return nil, err
		}
		if err != nil {
			continue
		}
		for _, v := range m.Volumes {
			if !filter.Touches(v.Start.Path, v.End.Path) {
				continue
			}
			o, err := s.Volume(v.Number)
			if err == nil {
				needed = append(needed, neededVolume{s, v, o})
			} else if strict {
				return nil, err
			}
		}
	}
	return needed, nil
}

// forecast finds out what would keep a restore waiting. Nothing is thawed.
func (o *restoreOptions) forecast(ctx context.Context, j *job, repo *repository, sets []*chain.Set, filter extract.Filter) (*forecast, error) {
	t := &thaw{j: j}
	var cold bool
	if t.store, cold = repo.Store.(store.Thawer); cold && anyCold(sets) {
		if err := t.wait(ctx, coldManifests(sets)); err != nil {
			return nil, err
		}
	}
	f := &forecast{}
	var err error
	if f.needed, err = neededVolumes(ctx, repo, sets, filter, !o.ignoreErrors); err != nil {
		return nil, err
	}
	if objects := coldOf(f.needed); cold && len(objects) > 0 {
		var frozen []chain.Object
		if f.cold, frozen, err = t.look(ctx, objects); err != nil {
			return nil, err
		}
		f.asked = len(f.cold) - len(frozen)
		f.keys = make(map[string]bool, len(f.cold))
		for _, o := range f.cold {
			f.keys[o.Key] = true
		}
	}
	f.rate = sampleRate(ctx, &repo.Repository, f.warmest())
	return f, context.Cause(ctx)
}

// warmest is the largest volume that can be read now, nil if there is none.
func (f *forecast) warmest() (v *neededVolume) {
	for i := range f.needed {
		n := &f.needed[i]
		if !f.keys[n.object.Key] && (v == nil || n.object.Size > v.object.Size) {
			v = n
		}
	}
	return v
}

// A sample of a volume ends after as many stored bytes, or that time.
const (
	sampleBytes = 16 << 20
	sampleTime  = 2 * time.Second
)

// sampleRate reads the beginning of a volume as a restore would and returns how many
// stored bytes a second that took in; 0 if it cannot be told. One volume does not tell
// what several at once do, nor what the target takes: it is an estimate.
func sampleRate(ctx context.Context, repo *chain.Repository, v *neededVolume) float64 {
	if v == nil {
		return 0
	}
	var read atomic.Int64
	sampled := *repo
	sampled.Store = counted{repo.Store, &read}
	ctx, cancel := context.WithTimeout(ctx, sampleTime)
	defer cancel()
	began := time.Now()
	vr, err := sampled.Volume(ctx, v.set, v.volume)
	if err != nil {
		return 0 // the restore will say what is wrong
	}
	defer vr.Close()
	for err == nil && read.Load() < sampleBytes {
		if _, err = vr.Next(); err == nil {
			_, err = io.Copy(io.Discard, vr)
		}
	}
	if err != nil && err != io.EOF && ctx.Err() == nil {
		return 0
	}
	return float64(read.Load()) / time.Since(began).Seconds()
}

// counted is a store that counts the bytes that are read of it.
type counted struct {
	store.Store
	n *atomic.Int64
}

func (c counted) Get(ctx context.Context, name string, off, length int64) (io.ReadCloser, error) {
	rc, err := c.Store.Get(ctx, name, off, length)
	if err != nil {
		return nil, err
	}
	return countedBody{rc, c.n}, nil
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// readPlan is what a restore would read, as JSON. Sizes are in bytes.
type readPlan struct {
	Requests  int64   `json:"requests"`
	Read      int64   `json:"stored_bytes_read"`
	Seconds   float64 `json:"seconds,omitempty"` // about, once all is thawed
	Thaw      int     `json:"objects_to_thaw,omitempty"`
	ThawBytes int64   `json:"bytes_to_thaw,omitempty"`
}

// plan says what so many requests and stored bytes mean.
func (f *forecast) plan(requests, read int64) readPlan {
	p := readPlan{Requests: requests, Read: read, Thaw: len(f.cold), ThawBytes: sizeOf(f.cold)}
	if f.rate > 0 {
		p.Seconds = float64(read) / f.rate
	}
	return p
}

// String is a clause about what is read.
func (p readPlan) String() string {
	text := fmt.Sprintf("%s, %s to read", plural(p.Requests, "request"), ibytes(p.Read))
	took := time.Duration(p.Seconds * float64(time.Second)).Round(time.Second)
	switch {
	case p.Seconds == 0:
	case took < time.Second:
		text += ", about a second"
	default:
		text += ", about " + took.String()
	}
	return text
}

// tellCold says what must be thawed, if anything.
func (f *forecast) tellCold(j *job) {
	if len(f.cold) > 0 {
		j.console.notice("%s", describeCold(f.cold, f.asked))
	}
}

// printVolume prints a volume that a restore reads: by its name, as duplicity does.
func (f *forecast) printVolume(j *job, key string, size int64) error {
	if j.opt.json {
		return j.printJSON(plannedVolume{"volume", key, size, f.keys[key]})
	}
	_, err := fmt.Fprintf(j.env.Stdout, "\t%s\n", key)
	return err
}

// plannedVolume is a volume that a restore reads, as JSON.
type plannedVolume struct {
	Type string `json:"type"` // volume
	Name string `json:"name"`
	Size int64  `json:"size"`           // bytes
	Cold bool   `json:"cold,omitempty"` // must be thawed first
}

// print says what a restore to a new target would read.
func (f *forecast) print(j *job) error {
	var errs []error
	var read int64
	for _, n := range f.needed {
		read += n.object.Size
		errs = append(errs, f.printVolume(j, n.object.Key, n.object.Size))
	}
	p := f.plan(int64(len(f.needed)), read)
	if j.opt.json {
		return errors.Join(append(errs, j.printJSON(plannedRead{"plan", p}))...)
	}
	j.console.notice("%v", p)
	f.tellCold(j)
	return errors.Join(errs...)
}

// plannedRead is what a restore to a new target would do, as JSON.
type plannedRead struct {
	Type string `json:"type"` // plan
	readPlan
}
