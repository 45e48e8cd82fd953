package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"hindsight/s3store/s3test"
)

// remote is an S3 server with its data in memory, behind a network and, through another
// proxy, next door.
type remote struct {
	gateway     *s3test.Gateway
	shape, near *s3test.Shape
	log         *os.File
}

// bucket has all repositories, each below its tool's name.
const bucket = "bench"

func (o options) link() s3test.Link {
	return s3test.Link{Delay: o.delay, Rate: int64(o.rate) * 1_000_000 / 8}
}

func newRemote(ctx context.Context, dir string, link s3test.Link) (*remote, error) {
	dir = filepath.Join(dir, "server")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	r := &remote{log: log}
	if r.gateway, err = s3test.StartGateway(ctx, dir, log); err != nil {
		return nil, errors.Join(err, r.close())
	}
	if err := r.gateway.CreateBucket(ctx, bucket); err != nil {
		return nil, errors.Join(err, r.close())
	}
	if r.shape, err = s3test.NewShape(r.gateway.Addr(), link); err != nil {
		return nil, errors.Join(err, r.close())
	}
	if r.near, err = s3test.NewShape(r.gateway.Addr(), s3test.Link{}); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func (r *remote) close() error {
	var errs []error
	for _, s := range []*s3test.Shape{r.shape, r.near} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	if r.gateway != nil {
		errs = append(errs, r.gateway.Stop())
	}
	return errors.Join(append(errs, r.log.Close())...)
}

// place moves a tool's repository to the server.
func (r *remote) place(t *tool) {
	proxy := r.shape
	if t.near {
		proxy = r.near
	}
	t.url, t.flags = t.s3("http://"+proxy.Addr(), bucket+"/"+t.name)
	t.repo = filepath.Join(r.gateway.Dir, bucket, t.name)
	t.env = append(t.env, "AWS_ACCESS_KEY_ID="+s3test.Root.Access, "AWS_SECRET_ACCESS_KEY="+s3test.Root.Secret,
		"AWS_DEFAULT_REGION="+s3test.Region)
}

// bytes have gone over the network so far, each way.
func (r *remote) bytes() (up, down int64) {
	if r == nil {
		return 0, 0
	}
	return r.shape.Bytes()
}

// remoteContestants are the tools that go to S3, and ours with the same server next door
// and in a folder, which shows what the machine could do without a network: the server and
// its proxy work on the same processors.
func remoteContestants() []*tool {
	var all []*tool
	for _, t := range localContestants() {
		if t.s3 != nil {
			all = append(all, t)
		}
	}
	near, here := hindsight("hindsight-near", "", "--no-encryption"), hindsight("hindsight-here", "", "--no-encryption")
	near.near = true
	here.s3 = nil
	return append(all, near, here)
}

// remoteGoals are what is promised of hindsight over a network. That of the share of
// the link stands in overLink.
var remoteGoals = []goal{
	{full, "hindsight-gz", "duplicity-gz", "", "seconds", 0},
	{full, "hindsight-gz", "restic", "", "seconds", 0},
	{full, "hindsight-gpg", "duplicity-gpg", "", "seconds", 0},
	{unchanged, "hindsight-gz", "duplicity-gz", "", "seconds", 0},
	{unchanged, "hindsight-gz", "restic", "", "seconds", 0},
	{edits, "hindsight-gz", "duplicity-gz", "", "seconds", 0},
	{edits, "hindsight-gz", "restic", "", "seconds", 0},
	{restoreNewest, "hindsight-gz", "duplicity-gz", "", "seconds", 0},
	{restoreNewest, "hindsight-gz", "restic", "", "seconds", 0},
	{restoreNewest, "hindsight-gpg", "duplicity-gpg", "", "seconds", 0},
}

// leastShare is how near hindsight comes to what bounds it: the link, or its own
// speed with the server next door.
const leastShare = 0.85

// overLink writes what went over the network, and how near everyone came to its rate.
func (r *results) overLink(w io.Writer, o options) {
	perSecond := float64(o.link().Rate) / (1 << 20)
	share := func(c *cell) float64 { return median(c.link) / perSecond / median(c.seconds) * 100 }
	r.table(w, "over the network, MiB", "%.1f", func(c *cell) float64 { return median(c.link) })
	r.table(w, "share of the link, %", "%.0f", func(c *cell) float64 {
		if len(c.seconds) == 0 {
			return 0
		}
		return share(c)
	})
	fmt.Fprint(w, "\nhindsight-gz against what bounds it: the link, or itself with the server next door\n")
	for _, p := range []phase{full, restoreNewest, restoreFirst} {
		ours, near := r.cell("hindsight-gz", p), r.cell("hindsight-near", p)
		if len(ours.seconds) == 0 || len(near.seconds) == 0 {
			continue
		}
		bound := max(median(ours.link)/perSecond, median(near.seconds))
		share, verdict := bound/median(ours.seconds), "met"
		if share < leastShare {
			verdict = "MISSED"
		}
		fmt.Fprintf(w, "%s  %.2f s of %.2f s: %.0f %%  wanted %.0f %%  %s\n",
			p, bound, median(ours.seconds), share*100, leastShare*100, verdict)
	}
}
