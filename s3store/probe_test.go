package s3store_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"hindsight/chain/store"
	"hindsight/chain/treetest"
	"hindsight/s3store"
	"hindsight/s3store/s3test"
)

// probe runs a Probe and returns the findings by name.
func probe(t *testing.T, ctx context.Context, s *s3store.Store) map[string]s3store.Finding {
	t.Helper()
	found := make(map[string]s3store.Finding)
	if err := s.Probe(ctx, func(f s3store.Finding) {
		t.Logf("%-22s %-8s %8v %s", f.Name, f.Outcome, f.Took.Round(1e5), f.Detail)
		found[f.Name] = f
	}); err != nil && ctx.Err() == nil {
		t.Errorf("probe: %v", err)
	}
	return found
}

func TestProbe(t *testing.T) {
	treetest.Sequential(t)
	const all = "list clock delete put conditional put get range multipart put conditional multipart rate copy unfinished uploads versions"
	for name, c := range map[string]struct {
		opt  s3test.Options
		deny []s3test.Op
		want map[string]s3store.Outcome // all others work
		says map[string]string
	}{
		"all": {},
		"refused": {
			opt:  s3test.Options{Conditional: s3test.Refused},
			want: map[string]s3store.Outcome{"conditional put": s3store.Limited, "conditional multipart": s3store.Limited},
			says: map[string]string{"conditional put": "is refused"},
		},
		"ignored": {
			opt:  s3test.Options{Conditional: s3test.Ignored},
			want: map[string]s3store.Outcome{"conditional put": s3store.Limited, "conditional multipart": s3store.Limited},
			says: map[string]string{"conditional put": "is ignored"},
		},
		"clock": {
			opt: s3test.Options{Skew: 10 * 60e9}, want: map[string]s3store.Outcome{"clock": s3store.Limited}, says: map[string]string{"clock": "behind the server's"},
		},
		"no delete": {
			deny: []s3test.Op{s3test.DeleteObject},
			want: map[string]s3store.Outcome{
				"delete": s3store.Fails, "put": s3store.Skipped, "conditional put": s3store.Skipped, "get": s3store.Skipped, "range": s3store.Skipped,
				"multipart put": s3store.Skipped, "conditional multipart": s3store.Skipped, "rate": s3store.Skipped, "copy": s3store.Skipped, "versions": s3store.Skipped,
			},
			says: map[string]string{"put": "could not be removed"},
		},
		"no get": {
			deny: []s3test.Op{s3test.GetObject, s3test.ListMultipartUploads},
			want: map[string]s3store.Outcome{
				"get": s3store.Fails, "range": s3store.Skipped, "rate": s3store.Skipped, "copy": s3store.Skipped, "unfinished uploads": s3store.Limited,
			},
			says: map[string]string{"get": "AccessDenied", "unfinished uploads": "lifecycle"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && c.want != nil {
				t.Skip("each puts 17 MiB")
			}
			c.opt.Buckets = []string{bucket}
			fake := s3test.NewFake(t, c.opt)
			var rules []s3test.Rule
			for _, op := range c.deny {
				rules = append(rules, s3test.Rule{Op: op, Times: -1, Status: 403, Code: "AccessDenied"})
			}
			fake.Break(1, rules...)
			s := open(t, config(fake.URL, "node/a"))
			defer s.Close()
			found := probe(t, t.Context(), s)
			if n := len(found); n != 13 {
				t.Errorf("%d findings, want 13", n)
			}
			for name, f := range found {
				want := c.want[name]
				if want == "" {
					want = s3store.Works
				}
				if f.Outcome != want || !strings.Contains(all, name) || !strings.Contains(f.Detail, c.says[name]) || (f.Err != nil) != (want == s3store.Fails) {
					t.Errorf("%s: %s, %q, error %v; want %s", name, f.Outcome, f.Detail, f.Err, want)
				}
			}
			if keys := fake.Keys(t, bucket); len(keys) > 0 || fake.Uploads() > 0 {
				t.Errorf("left behind: %q and %d uploads", keys, fake.Uploads())
			}
			fake.StaysBelow(t, bucket, "node/a")
		})
	}
}

// TestProbeKinds makes sure that who tells of a failure can go by its kind and its advice.
func TestProbeKinds(t *testing.T) {
	for code, c := range map[string]struct {
		status int
		kind   error
		hint   string
	}{
		"NoSuchBucket":          {404, store.ErrNotExist, "name of the bucket"},
		"AccessDenied":          {403, store.ErrPermission, "s3:ListBucket"},
		"SignatureDoesNotMatch": {403, store.ErrPermission, "secret key"},
	} {
		fake := s3test.NewFake(t, s3test.Options{Buckets: []string{bucket}})
		fake.Break(1, s3test.Rule{Op: s3test.ListObjectsV2, Times: -1, Status: c.status, Code: code},
			s3test.Rule{Op: s3test.PutObject, Times: -1, Status: c.status, Code: code})
		s := open(t, config(fake.URL, "node/a"))
		defer s.Close()
		err := probe(t, t.Context(), s)["list"].Err
		var hinted interface{ Hint() string }
		if !errors.Is(err, c.kind) || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), c.hint) {
			t.Errorf("%s: error %v; want %v and the advice %q", code, err, c.kind, c.hint)
		}
	}
}

// TestProbeInterrupted makes sure that nothing stays when the user has enough.
func TestProbeInterrupted(t *testing.T) {
	treetest.Sequential(t)
	fake := s3test.NewFake(t, s3test.Options{Buckets: []string{bucket}})
	s := open(t, config(fake.URL, "node/a"))
	defer s.Close()
	for _, last := range []string{"put", "multipart put", "copy"} {
		ctx, cancel := context.WithCancel(t.Context())
		err := s.Probe(ctx, func(f s3store.Finding) {
			if f.Name == last {
				cancel()
			}
		})
		cancel()
		if err == nil {
			t.Errorf("probe interrupted after %s: no error", last)
		}
		if keys := fake.Keys(t, bucket); len(keys) > 0 {
			t.Errorf("after an interrupt behind %s are left: %q", last, keys)
		}
	}
}

func TestProbeGateway(t *testing.T) {
	gateway := s3test.NewGateway(t, bucket)
	s := open(t, config(gateway.URL, "node/a"))
	defer s.Close()
	for name, f := range probe(t, t.Context(), s) {
		if f.Outcome != s3store.Works {
			t.Errorf("%s: %s, %s", name, f.Outcome, f.Detail)
		}
	}
}
