package s3store_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hindsight/s3store"
)

var update = flag.Bool("update", false, "write the golden policies")

func TestPolicy(t *testing.T) {
	node := s3store.Config{Bucket: "backups", Prefix: "nodes/web1"}
	for name, c := range map[string]struct {
		config s3store.Config
		opt    s3store.PolicyOptions
	}{
		"node":       {node, s3store.PolicyOptions{}},
		"root":       {s3store.Config{Bucket: "backups"}, s3store.PolicyOptions{}},
		"write-only": {node, s3store.PolicyOptions{WriteOnly: true}},
		"append-only": {
			s3store.Config{Bucket: "backups", Prefix: "web1", Region: "cn-north-1", Encryption: s3store.EncryptKMS, KMSKey: "1234"},
			s3store.PolicyOptions{WriteOnly: true, AppendOnly: true},
		},
		"reaper": {node, s3store.PolicyOptions{Reaper: true}},
		"bucket": {node, s3store.PolicyOptions{Thaw: true, Bucket: true, Principals: []string{"arn:aws:iam::123456789012:role/web1", "alice"}}},
		"tag":    {s3store.Config{Bucket: "backups", Prefix: "nodes"}, s3store.PolicyOptions{Tag: "node"}},
		"odd":    {s3store.Config{Bucket: "backups", Prefix: "a*b/${c}?"}, s3store.PolicyOptions{}},
	} {
		got, err := s3store.Policy(c.config, c.opt)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !json.Valid(got) {
			t.Errorf("%s: no JSON: %s", name, got)
		}
		file := filepath.Join("testdata", "policy", name+".json")
		if *update {
			if err := os.WriteFile(file, got, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), string(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// The statements of all nodes of a bucket stand in one policy, where an id may be used once.
func TestPolicyIDs(t *testing.T) {
	role := []string{"arn:aws:iam::123456789012:role/web"}
	seen := make(map[string]string)
	for _, prefix := range []string{"", "web1", "web2", "web/1", "web-1", "nodes/web1"} {
		for name, opt := range map[string]s3store.PolicyOptions{
			"node": {}, "append-only": {WriteOnly: true, AppendOnly: true}, "reaper": {Reaper: true}, "tag": {Tag: "node"},
		} {
			opt.Bucket, opt.Principals = true, append(slices.Clone(role), name)
			config := s3store.Config{Bucket: "backups", Prefix: prefix, Encryption: s3store.EncryptKMS, KMSKey: "1234"}
			text, err := s3store.Policy(config, opt)
			if err != nil {
				t.Fatal(err)
			}
			var doc struct{ Statement []struct{ Sid string } }
			if err := json.Unmarshal(text, &doc); err != nil {
				t.Fatal(err)
			}
			for _, s := range doc.Statement {
				who := fmt.Sprintf("%s of %q", name, prefix)
				if before, ok := seen[s.Sid]; ok {
					t.Errorf("%s and %s both have a statement %s", before, who, s.Sid)
				}
				if !regexp.MustCompile(`^[A-Za-z0-9]+$`).MatchString(s.Sid) {
					t.Errorf("%s: AWS does not take the id %q", who, s.Sid)
				}
				seen[s.Sid] = who
			}
		}
	}
}

func TestPolicyRefused(t *testing.T) {
	node := s3store.Config{Bucket: "backups", Prefix: "nodes/web1"}
	for want, opt := range map[string]s3store.PolicyOptions{
		"reaper":         {Reaper: true, WriteOnly: true},
		"append-only":    {AppendOnly: true},
		"need not thaw":  {WriteOnly: true, Thaw: true},
		"a principal":    {Bucket: true},
		"only in a":      {Principals: []string{"alice"}},
		"name of a tag":  {Tag: "a}b"},
		"name of a tag ": {Tag: strings.Repeat("a", 129)},
	} {
		if p, err := s3store.Policy(node, opt); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("policy for %+v: %s, error %v; want one with %q", opt, p, err, want)
		}
	}
	if _, err := s3store.Policy(s3store.Config{}, s3store.PolicyOptions{}); err == nil {
		t.Error("a policy without a bucket is printed")
	}
}
