package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain/treetest"
	"hindsight/s3store/s3test"
)

// account is a user with a secret of its own.
func account(name string) s3test.Account {
	return s3test.Account{Access: name, Secret: name + "-secret-0123456789"}
}

// fleet is a real server with one bucket for several machines, which reach it through
// a front that records what they ask.
type fleet struct {
	gateway    *s3test.Gateway
	front      *s3test.Front
	statements []json.RawMessage // of the bucket's policy
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	gateway := s3test.NewGateway(t, s3Bucket)
	return &fleet{gateway: gateway, front: s3test.NewFront(t, gateway.URL)}
}

// join makes a machine with an account that may do what hindsight's own policy says,
// and nothing else.
func (f *fleet) join(t *testing.T, name string, policy ...string) *s3Node {
	t.Helper()
	a := account(name)
	if err := f.gateway.CreateUser(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	n := newS3Node(t, f.front.URL, a, name)
	args := append([]string{"policy", "--bucket-policy", "--principal", name}, append(policy, n.url)...)
	var doc struct{ Statement []json.RawMessage }
	if err := json.Unmarshal([]byte(treetest.Run(t, n.env, "", n.path, args...).OK(t).Stdout), &doc); err != nil {
		t.Fatal(err)
	}
	f.statements = append(f.statements, doc.Statement...)
	all, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": f.statements})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.gateway.PutPolicy(t.Context(), s3Bucket, string(all)); err != nil {
		t.Fatal(err)
	}
	return n
}

// denied makes sure that an account gets nothing from below a prefix that is not its
// own, whatever a program asks for: hindsight itself asks for a list first, and ends.
func (f *fleet) denied(t *testing.T, a s3test.Account, prefix string) {
	t.Helper()
	place := "/" + s3Bucket + "/" + prefix + "stolen"
	for _, r := range []struct{ method, path string }{
		{"GET", place}, {"PUT", place}, {"DELETE", place}, {"HEAD", place}, {"POST", place + "?uploads"},
		{"GET", "/" + s3Bucket + "?list-type=2&prefix=" + prefix}, {"GET", "/" + s3Bucket + "?uploads&prefix=" + prefix},
	} {
		_, err := s3test.Do(t.Context(), f.gateway.URL, a, r.method, r.path, nil)
		if err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("%s %s: %v, want 403", r.method, r.path, err)
		}
	}
}

// fill writes a source.
func (n *s3Node) fill(t *testing.T, seed uint64) {
	t.Helper()
	treetest.Random(t, n.src, treetest.Rand(t, seed), treetest.RandomOptions{})
}

// TestS3Isolation gives two machines the policies that hindsight prints: each does all
// it has to do with its own backups, and nothing with those of the other or with the
// bucket.
func TestS3Isolation(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the program four dozen times")
	}
	treetest.NeedRoot(t)
	f := newFleet(t)
	a, b := f.join(t, "node-a"), f.join(t, "node-b")
	a.fill(t, 1)
	b.fill(t, 2)
	theirs := b.backup(t, "full", 0)

	f.front.Recorder.Reset()
	first := a.backup(t, "full", 1_800_000_000)
	treetest.Mutate(t, a.src, treetest.Rand(t, 3), 1_800_000_100, 10, treetest.RandomOptions{})
	second := a.backup(t, "backup", 1_800_086_400)
	a.restores(t, first, "--time", "1800000000")
	a.restores(t, second)
	for _, command := range []string{"list", "status", "cleanup"} {
		a.run(t, command, a.url).OK(t)
	}
	a.run(t, "cleanup", "--force", a.url).OK(t)
	before := treetest.Record(t, filepath.Join(f.gateway.Dir, s3Bucket, "node-a"))
	t.Logf("%s", a.run(t, "doctor", a.url).OK(t).Stdout)
	after := treetest.Record(t, filepath.Join(f.gateway.Dir, s3Bucket, "node-a"))
	treetest.Equal(t, after[1:], before[1:], treetest.Options{}) // all but the folder's own time
	f.front.StaysBelow(t, s3Bucket, "node-a/")

	out := filepath.Join(t.TempDir(), "out")
	for _, url := range []string{b.url, b.url + "/deeper", "s3://" + s3Bucket, "s3://" + s3Bucket + "/node", "s3://" + s3Bucket + "/node-aa", "s3://other/node-a"} {
		for _, args := range [][]string{
			{"list", url}, {"status", url}, {"restore", url, out}, {"full", a.src, url}, {"backup", a.src, url},
			{"cleanup", "--force", url},
		} {
			// versitygw tells a bucket that is not there from one that is not allowed.
			code := exitPermission
			if url == "s3://other/node-a" {
				code = exitStoreAbsent
			}
			a.refused(t, code, "", args[0], args[1:]...)
		}
	}
	f.denied(t, account("node-a"), "node-b/")
	f.denied(t, account("node-a"), "")
	for _, op := range []s3test.Op{s3test.HeadBucket, s3test.GetBucketLocation, s3test.ListBuckets} {
		if n := f.front.Count(op); n != 0 {
			t.Errorf("%s was sent %d times", op, n)
		}
	}
	b.restores(t, theirs)
	if _, err := os.Stat(out); err == nil {
		t.Error("a refused restore made its target")
	}
	a.env = append(a.env, "AWS_SECRET_ACCESS_KEY=guessed-wrong-secret")
	a.refused(t, exitPermission, "", "list", a.url)
}

// TestS3WriteOnly backs up to a public key with credentials that may neither read nor
// delete. Its restore says what it lacks; whoever has the rights and the secret key
// gets all back.
func TestS3WriteOnly(t *testing.T) {
	if testing.Short() {
		t.Skip("short run")
	}
	treetest.NeedRoot(t)
	f := newFleet(t)
	n := f.join(t, "node-w", "--write-only")
	n.fill(t, 4)
	home := treetest.GPGHome(t)
	key := home.NewKey(t, treetest.RSA2048, "")
	public, secret := filepath.Join(n.home, "public.asc"), filepath.Join(n.home, "secret.asc")
	for name, text := range map[string]string{public: home.Export(t, key), secret: home.ExportSecret(t, key)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n.flags = []string{"--encrypt-key", key.ID(), "--key-file", public}
	f.front.Recorder.Reset()
	first := n.backup(t, "full", 1_800_000_000)
	for i := range int64(2) {
		treetest.Mutate(t, n.src, treetest.Rand(t, 5), 1_800_000_100+i, 10, treetest.RandomOptions{})
		n.backup(t, "incremental", 1_800_000_000+86400*(1+i))
	}
	newest := treetest.Record(t, n.src)
	if count := f.front.Count(s3test.GetObject, s3test.DeleteObject, s3test.DeleteObjects, s3test.HeadObject); count != 0 {
		t.Errorf("backups sent %d requests that are not allowed: %v", count,
			f.front.Requests(s3test.GetObject, s3test.DeleteObject, s3test.DeleteObjects, s3test.HeadObject))
	}
	n.run(t, "status", n.url).OK(t)
	if out := n.run(t, "status", "--cache-dir", t.TempDir(), n.url).OK(t).Stdout; !strings.Contains(out, "the right to read them: 3 backup sets") {
		t.Errorf("without the right to read manifests: %s", out)
	}
	f.front.StaysBelow(t, s3Bucket, "node-w/")
	n.refused(t, exitPermission, "get duplicity-", "restore", n.url, filepath.Join(t.TempDir(), "out"))

	admin := newS3Node(t, f.front.URL, s3test.Root, "node-w")
	admin.flags = []string{"--key-file", secret}
	admin.restores(t, first, "--time", "1800000000")
	admin.restores(t, newest)
}
