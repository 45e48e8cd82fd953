package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"hindsight/chain"
	"hindsight/chain/codec"
	"hindsight/chain/pgp"
	"hindsight/chain/store"
	"hindsight/index"
)

func newIndexPublish(j *job) *cobra.Command {
	return j.build(operation{
		use: "publish URL", short: "Put portable indexes beside the backups that have none",
		long: "Put portable indexes beside the backups that have none, those that duplicity made say, so that any machine can\n" +
			"browse them at once. Every volume of them is read once. An index is encrypted as its backup is: with the\n" +
			"passphrase, or to the keys of --encrypt-key. duplicity passes over it.",
		example: "  PASSPHRASE=... hindsight index publish file:///srv/backup\n" +
			"  hindsight index publish --encrypt-key 0123456789ABCDEF s3://backups/web1",
		writes: true,
		run:    func(ctx context.Context, args []string) error { return runIndexPublish(ctx, j, args[0]) },
	})
}

// published is a set that was given a portable index, as JSON.
type published struct {
	Type string `json:"type"` // published
	Kind string `json:"kind"` // full, incremental
	Time string `json:"time"` // RFC 3339 in UTC
}

// publisher gives portable indexes to the sets of a place.
type publisher struct {
	*job
	repo   *repository
	pool   *codec.Pool
	sealed *pgp.Session // of the chain's encrypted sets
	failed int64
}

func runIndexPublish(ctx context.Context, j *job, url string) (err error) {
	repo, err := j.open(url, reading)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, repo.close()) }()
	col, err := chain.Load(ctx, repo.Store, repo.Scheme)
	if err != nil {
		return err
	}
	if col.Latest() == nil {
		_, err := col.At(0)
		return nothingComplete(col, err)
	}
	p := &publisher{job: j, repo: repo, pool: codec.NewPool(j.opt.jobs, int64(j.opt.memory)/4)}
	defer p.pool.Close()
	for _, ch := range col.Chains {
		if err := p.chain(ctx, ch); err != nil {
			return err
		}
	}
	if p.failed > 0 {
		return errQuiet(exitFailure)
	}
	return nil
}

// chain gives an index to each set of a chain that has none.
func (p *publisher) chain(ctx context.Context, ch *chain.Chain) error {
	p.sealed = nil
	for _, s := range ch.Sets {
		if s.TOC != nil {
			continue
		}
		if err := p.set(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// options are those that a set's index is put with. All encrypted sets of a chain share
// a session.
func (p *publisher) options(ctx context.Context, s *chain.Set) (chain.TOCOptions, error) {
	opt := chain.TOCOptions{Pool: p.pool}
	if !s.Manifest.Encrypted {
		return opt, nil
	}
	if _, err := p.repo.Manifest(ctx, s); err != nil { // who cannot read it has the wrong keys
		return opt, err
	}
	esk, err := p.esk(ctx, s)
	if err == nil && p.sealed == nil {
		p.sealed, err = p.session(ctx, p.repo, func() []byte { return esk })
	}
	opt.Session = p.sealed
	return opt, err
}

// esk is the session key packets of a set, if they are such that its index may be
// encrypted as the options say: what is encrypted to keys alone must not lie open to
// who knows a passphrase.
func (p *publisher) esk(ctx context.Context, s *chain.Set) ([]byte, error) {
	esk, err := p.repo.esk(ctx, s)
	if err == nil && len(p.opt.encryptKeys)+len(p.opt.hidden) == 0 && !pgp.Symmetric(esk) {
		err = usagef("the %s of %s is encrypted to keys alone: give --encrypt-key KEY for its index", setType(s.Inc), stamp(s.End))
	}
	return esk, err
}

// set gives an index to one set. What is damaged gets none, and is told.
func (p *publisher) set(ctx context.Context, s *chain.Set) error {
	p.console.notice("Reading the %s of %s", setType(s.Inc), stamp(s.End))
	opt, err := p.options(ctx, s)
	if err == nil {
		err = index.Publish(ctx, &p.repo.Repository, s, opt)
	}
	var corrupt *chain.CorruptError
	var twice *chain.DuplicateError
	switch {
	case errors.Is(err, store.ErrExist):
		p.console.notice("Somebody else has put the index of %s meanwhile", stamp(s.End))
		return nil
	case errors.Is(err, pgp.ErrLocked):
		return err // which would be that of the others too
	case errors.As(err, &corrupt), errors.As(err, &twice), errors.Is(err, chain.ErrMissingVolume):
		p.failed++
		p.console.warn("", fmt.Errorf("the %s of %s gets no index: %w", setType(s.Inc), stamp(s.End), err))
		return nil
	case err != nil:
		return err
	}
	if p.opt.json {
		return p.printJSON(published{Type: "published", Kind: setType(s.Inc), Time: rfc3339(s.End)})
	}
	_, err = fmt.Fprintf(p.env.Stdout, "Published the index of the %s of %s\n", setType(s.Inc), stamp(s.End))
	return err
}
