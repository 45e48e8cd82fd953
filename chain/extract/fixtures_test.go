package extract_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"hindsight/chain"
	"hindsight/chain/dirstore"
	"hindsight/chain/extract"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

// TestGoldenRepositories restores every golden repository at every time at which
// duplicity can, and compares with what duplicity restored. The check by signatures
// raises no alarm but where there are none.
func TestGoldenRepositories(t *testing.T) {
	treetest.NeedRoot(t)
	cases, times := 0, 0
	for i, c := range treetest.LoadCases(t) {
		if treetest.Short() && i%7 != 0 {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			cases++
			for _, at := range c.Times {
				if !c.Restorable(at) {
					continue
				}
				times++
				target := filepath.Join(t.TempDir(), "target")
				alarm := func(path string, err error) {
					if path != "" || !errors.Is(err, chain.ErrNoSignatures) {
						t.Errorf("%d: %q: %v", at, path, err)
					}
				}
				if _, err := restore(t, c, c.Repo, at, target, extract.Options{Check: true, Lost: alarm}); err != nil {
					t.Errorf("%d: %v", at, err)
					continue
				}
				treetest.Equal(t, treetest.Record(t, target), c.Expected(t, at), treetest.Options{})
			}
		})
	}
	t.Logf("%d cases, %d times", cases, times)
}

// restore extracts the state of a golden repository, or of a copy of it, at a time.
func restore(t *testing.T, c *treetest.Case, repo string, at int64, target string, opt extract.Options) (extract.Result, error) {
	t.Helper()
	ctx := context.Background()
	st, err := dirstore.Open(repo, false)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	scheme := naming.Scheme{
		Prefix: c.Option("--file-prefix"), Archive: c.Option("--file-prefix-archive"),
		Manifest: c.Option("--file-prefix-manifest"), Signature: c.Option("--file-prefix-signature"),
	}
	var keys []string
	for _, k := range c.Keys {
		keys = append(keys, k.Secret)
	}
	r := &chain.Repository{Store: st, Scheme: scheme, Keys: pgp.NewKeyring(pgp.Options{
		Passphrase: pgp.Passphrase([]byte(c.Passphrase())), KeyFiles: keys, GnuPGHome: t.TempDir(),
	})}
	col, err := chain.Load(ctx, st, scheme)
	if err != nil {
		return extract.Result{}, err
	}
	ch, err := col.At(naming.Time(at))
	if err != nil {
		return extract.Result{}, err
	}
	sink, err := extract.NewDisk(target, extract.DiskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	opt.Repository, opt.Sets, opt.Sink = r, ch.Until(naming.Time(at)), sink
	return extract.Run(ctx, opt)
}
