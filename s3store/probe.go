package s3store

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"hindsight/chain/store"
)

// Outcome is what a Probe found of one ability.
type Outcome string

const (
	Works   Outcome = "ok"
	Limited Outcome = "limited" // works, with what Finding.Detail says
	Fails   Outcome = "failed"
	Skipped Outcome = "skipped" // not tried
)

// Finding is what a Probe found of one ability.
type Finding struct {
	Name    string
	Outcome Outcome
	Detail  string        // one line
	Took    time.Duration // 0: not measured
	Err     error         // of Fails
}

// ProbePrefix begins the names of a Probe's objects, which are no backup's.
const ProbePrefix = "hindsight-probe-"

// maxClockSkew is where servers begin to refuse requests, about.
const maxClockSkew = 15 * time.Minute

// Probe tries out what the server does and lets these credentials do, and tells each
// finding as it comes. What it puts, about 17 MiB, it removes again, also when ctx
// ends; where nothing may be deleted it puts nothing. The error is that of ctx.
func (s *Store) Probe(ctx context.Context, found func(Finding)) error {
	p := &prober{s: s, found: found, name: ProbePrefix + rand.Text()}
	defer p.tidy(ctx)
	for _, step := range []func(context.Context){
		p.list, p.remove, p.put, p.condition, p.get, p.ranges, p.parts, p.partsCondition, p.rate, p.copy, p.unfinished, p.versions,
	} {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		step(ctx)
	}
	return ctx.Err()
}

// prober is a Probe under way.
type prober struct {
	s     *Store
	found func(Finding)
	name  string // of its first object; others have a suffix

	mayRemove, mayPut, mayGet bool
	hasParts                  bool
	put1                      []byte
	upTime                    time.Duration // of the object in parts
}

const (
	bigSuffix  = ".parts"
	copySuffix = ".copy"
	oneSuffix  = ".one"
	probeSize  = store.PartSize + 1<<20 // bytes of the object in parts
)

// tidy removes what may be there.
func (p *prober) tidy(ctx context.Context) {
	if !p.mayPut {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTime)
	defer cancel()
	for _, suffix := range []string{"", bigSuffix, copySuffix, oneSuffix} {
		if err := p.s.Delete(ctx, p.name+suffix); err != nil {
			p.found(Finding{Name: "tidy up", Outcome: Fails, Detail: "left behind: " + p.name + suffix, Err: err})
		}
	}
}

// try times fn and tells what came of it.
func (p *prober) try(name string, fn func() (Outcome, string, error)) bool {
	began := time.Now()
	outcome, detail, err := fn()
	f := Finding{Name: name, Outcome: outcome, Detail: detail, Took: time.Since(began), Err: err}
	if err != nil {
		f.Outcome = Fails
		e := describe(err)
		if f.Detail = e.Error(); e.kind == nil && e.Status == 0 && e.Code == "" {
			f.Detail = oneLine(err.Error())
		}
	}
	p.found(f)
	return err == nil
}

func (p *prober) skip(name, why string) {
	p.found(Finding{Name: name, Outcome: Skipped, Detail: why})
}

const cannotRemove = "what is put could not be removed again"

// list measures the time of an answer, too, and the server's clock.
func (p *prober) list(ctx context.Context) {
	var skew time.Duration
	dated := false
	ok := p.try("list", func() (Outcome, string, error) {
		page, err := p.s.page(ctx, ProbePrefix, nil)
		if err != nil {
			return "", "", opError(opList, p.s.where(ProbePrefix), err)
		}
		var at time.Time
		if at, dated = awsmiddleware.GetServerTime(page.ResultMetadata); dated {
			skew = p.s.c.Now().Sub(at).Truncate(time.Second)
		}
		return Works, "", nil
	})
	const clock = "clock"
	switch {
	case !ok:
	case !dated:
		p.skip(clock, "the server does not tell its time")
	case skew > -2*time.Second && skew < 2*time.Second: // a header has whole seconds
		p.found(Finding{Name: clock, Outcome: Works, Detail: "as the server's"})
	default:
		outcome := Works
		if skew.Abs() >= maxClockSkew/3 {
			outcome = Limited
		}
		detail := fmt.Sprintf("%v ahead of the server's", skew)
		if skew < 0 {
			detail = fmt.Sprintf("%v behind the server's", -skew)
		}
		p.found(Finding{Name: clock, Outcome: outcome, Detail: detail})
	}
}

// remove learns whether what is put could be removed again.
func (p *prober) remove(ctx context.Context) {
	p.mayRemove = p.try("delete", func() (Outcome, string, error) {
		return Works, "", p.s.Delete(ctx, p.name)
	})
}

func (p *prober) put(ctx context.Context) {
	if !p.mayRemove {
		p.skip("put", cannotRemove)
		return
	}
	p.put1 = make([]byte, 4096)
	_, _ = rand.Read(p.put1) // never fails
	p.mayPut = true          // it may be there though the answer is an error
	p.mayPut = p.try("put", func() (Outcome, string, error) {
		return Works, "", p.s.Put(ctx, p.name, store.Bytes(p.put1), store.PutOptions{})
	})
}

// condition puts over the object with If-None-Match.
func (p *prober) condition(ctx context.Context) {
	const name = "conditional put"
	if !p.mayPut {
		p.skip(name, "nothing can be put")
		return
	}
	p.try(name, func() (Outcome, string, error) {
		err := p.s.Put(ctx, p.name, store.Bytes(p.put1), store.PutOptions{IfAbsent: true})
		return p.conditionFound(err)
	})
}

// conditionFound says what the outcome of a conditional put over an object means.
func (p *prober) conditionFound(err error) (Outcome, string, error) {
	switch {
	case errors.Is(err, store.ErrExist) && p.s.unconditional.Load():
		return Limited, "If-None-Match is refused; a list is asked before each put: start no two backups to one prefix at the same moment", nil
	case errors.Is(err, store.ErrExist):
		return Works, "", nil
	case err == nil:
		return Limited, "If-None-Match is ignored: never back up to one prefix from two machines", nil
	}
	return "", "", err
}

func (p *prober) get(ctx context.Context) {
	if !p.mayPut {
		p.skip("get", "nothing can be put")
		return
	}
	p.mayGet = p.try("get", func() (Outcome, string, error) {
		got, err := store.ReadAll(ctx, p.s, p.name, int64(len(p.put1)))
		if err == nil && !bytes.Equal(got, p.put1) {
			err = errors.New("other bytes than were put")
		}
		return Works, "", err
	})
}

func (p *prober) ranges(ctx context.Context) {
	const name = "range"
	if !p.mayGet {
		p.skip(name, "nothing can be read")
		return
	}
	p.try(name, func() (Outcome, string, error) {
		rc, err := p.s.Get(ctx, p.name, 1000, 500)
		if err != nil {
			return "", "", err
		}
		got, err := io.ReadAll(rc)
		if err = errors.Join(err, rc.Close()); err == nil && !bytes.Equal(got, p.put1[1000:1500]) {
			err = errors.New("other bytes than were asked for")
		}
		return Works, "", err
	})
}

// parts puts an object in two parts.
func (p *prober) parts(ctx context.Context) {
	const name = "multipart put"
	if !p.mayPut {
		p.skip(name, "nothing can be put")
		return
	}
	data := make([]byte, probeSize)
	_, _ = rand.Read(data) // so that nobody on the way can compress it
	began := time.Now()
	p.hasParts = p.try(name, func() (Outcome, string, error) {
		return Works, "", p.s.Put(ctx, p.name+bigSuffix, store.Bytes(data), store.PutOptions{})
	})
	p.upTime = time.Since(began)
}

// partsCondition ends a small upload over the object with If-None-Match.
func (p *prober) partsCondition(ctx context.Context) {
	const name = "conditional multipart"
	if !p.hasParts {
		p.skip(name, "nothing can be put in parts")
		return
	}
	p.try(name, func() (Outcome, string, error) {
		m, err := p.s.startParts(ctx, p.name)
		if err != nil {
			return "", "", err
		}
		m.grow()
		if err = m.sendPart(ctx, 1, p.put1); err == nil {
			err = m.complete(ctx, store.PutOptions{IfAbsent: true})
		}
		if err != nil {
			m.abandon(ctx)
		}
		return p.conditionFound(err)
	})
}

// rate reads the object in parts back.
func (p *prober) rate(ctx context.Context) {
	const name = "rate"
	if !p.hasParts || !p.mayGet {
		p.skip(name, "nothing large can be put and read")
		return
	}
	p.try(name, func() (Outcome, string, error) {
		began := time.Now()
		rc, err := p.s.Get(ctx, p.name+bigSuffix, 0, -1)
		if err != nil {
			return "", "", err
		}
		n, err := io.Copy(io.Discard, rc)
		if err = errors.Join(err, rc.Close()); err == nil && n != probeSize {
			err = fmt.Errorf("%d bytes, want %d", n, int64(probeSize))
		}
		rate := func(d time.Duration) float64 { return probeSize / 1e6 / max(d.Seconds(), 1e-6) }
		return Works, fmt.Sprintf("put %.1f MB/s in two parts, get %.1f MB/s on one connection", rate(p.upTime), rate(time.Since(began))), err
	})
}

func (p *prober) copy(ctx context.Context) {
	const name = "copy"
	if !p.mayGet {
		p.skip(name, "nothing can be read")
		return
	}
	p.try(name, func() (Outcome, string, error) {
		err := p.s.Copy(ctx, p.name, p.name+copySuffix)
		if errors.Is(err, errors.ErrUnsupported) {
			return Limited, "the server cannot copy", nil
		}
		return Works, "", err
	})
}

// unfinished lists unfinished uploads, which a node need not be allowed.
func (p *prober) unfinished(ctx context.Context) {
	began := time.Now()
	var err error
	for _, err = range p.s.ListRemains(ctx, began.Add(-maxClockSkew)) {
		break
	}
	f := Finding{Name: "unfinished uploads", Outcome: Works, Took: time.Since(began)}
	if err != nil {
		f.Outcome, f.Detail = Limited, "cannot be listed ("+describe(err).Error()+"): have the bucket's lifecycle abort them"
	}
	p.found(f)
}

// versions learns from a last delete whether the bucket keeps what is deleted.
func (p *prober) versions(ctx context.Context) {
	const name = "versions"
	if !p.mayPut {
		p.skip(name, "nothing can be put")
		return
	}
	p.try(name, func() (Outcome, string, error) {
		one := p.name + oneSuffix
		if err := p.s.Put(ctx, one, store.Bytes(nil), store.PutOptions{}); err != nil {
			return "", "", err
		}
		var out *s3.DeleteObjectOutput
		err := p.s.do(ctx, "delete "+one, func(ctx context.Context, _ call) (err error) {
			out, err = p.s.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: p.s.bucket(), Key: p.s.key(one)}, p.s.options)
			return err
		})
		if err == nil && out.DeleteMarker != nil && *out.DeleteMarker {
			return Works, "kept: what is deleted goes when the bucket's lifecycle says so", nil
		}
		return Works, "not kept: what is deleted or overwritten is gone", err
	})
}
