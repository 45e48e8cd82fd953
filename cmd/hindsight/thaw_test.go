package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hindsight/chain/treetest"
	"hindsight/s3store/s3test"
)

// freezer is a server whose volumes lie in an archive class, and the world that backs
// up to it.
type freezer struct {
	*world
	fake  *s3test.Fake
	flags []string
	src   string
	url   string
}

func newFreezer(t *testing.T, thaw time.Duration) *freezer {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": s3test.Root.Access, "AWS_SECRET_ACCESS_KEY": s3test.Root.Secret, "AWS_CONFIG_FILE": os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	f := &freezer{world: newWorld(t), src: t.TempDir(), url: "s3://cold/node"}
	f.fake = s3test.NewFake(t, s3test.Options{Buckets: []string{"cold"}, Thaw: thaw})
	f.flags = []string{"--s3-endpoint-url", f.fake.URL}
	treetest.Write(t, f.src, treetest.File("a", "one"), treetest.File("z", "two"))
	return f
}

// do runs a command on the bucket.
func (f *freezer) do(t *testing.T, command string, args ...string) result {
	t.Helper()
	return f.run(t, append(append([]string{command}, f.flags...), args...)...)
}

// TestArchiveClass backs up into an archive class: everything that the next backup reads
// stays out of it. A restore says beforehand what it lacks, and --thaw gets it.
func TestArchiveClass(t *testing.T) {
	f := newFreezer(t, time.Second)
	f.do(t, "full", "--no-encryption", "--s3-use-glacier", f.src, f.url).exit(t, 0)
	if err := os.WriteFile(filepath.Join(f.src, "a"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.do(t, "backup", "--no-encryption", "--s3-use-glacier", f.src, f.url).exit(t, 0)
	if err := os.RemoveAll(filepath.Join(f.vars["HOME"], ".cache")); err != nil { // and without local copies
		t.Fatal(err)
	}
	f.do(t, "list", f.url).exit(t, 0)

	out := filepath.Join(t.TempDir(), "out")
	line := onlyLine(t, lastLine(f.do(t, "restore", f.url, out).exit(t, exitStore).stderr))
	for _, want := range []string{"2 objects (", " are in an archive class and must be thawed first: duplicity-", ".vol1.difftar", "restore --thaw"} {
		if !strings.Contains(line, want) {
			t.Errorf("a restore says %q, want it with %q", line, want)
		}
	}
	dry := f.do(t, "restore", "--dry-run", "--thaw", f.url, out).exit(t, 0)
	for _, want := range []string{"2 requests, ", " to read\n", "2 objects (", " must be thawed first: duplicity-"} {
		if !strings.Contains(dry.stderr, want) {
			t.Errorf("a dry run says %q, want it with %q", dry.stderr, want)
		}
	}
	dry = f.do(t, "restore", "--dry-run", "--json", f.url, out).exit(t, 0)
	if n := strings.Count(dry.stdout, `,"cold":true}`); n != 2 || !strings.Contains(dry.stdout, `"objects_to_thaw":2,"bytes_to_thaw":`) {
		t.Errorf("a dry run prints %q", dry.stdout)
	}
	if n := f.fake.Count(s3test.RestoreObject); n != 0 {
		t.Errorf("%d requests to thaw by dry runs", n)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a restore that cannot be made has made its target")
	}
	r := f.do(t, "restore", "--thaw", "--thaw-days", "3", f.url, out).exit(t, 0)
	if !strings.Contains(r.stderr, "Waiting until 2 objects (") {
		t.Errorf("restore --thaw says %q", r.stderr)
	}
	treetest.Equal(t, treetest.Record(t, out), treetest.Record(t, f.src), treetest.AsDuplicity())
	if n := f.fake.Count(s3test.RestoreObject); n != 2 {
		t.Errorf("%d requests to thaw, want one for each volume", n)
	}
	// What is thawed is restored at once, and a dry run has a volume to sample.
	dry = f.do(t, "restore", "--dry-run", f.url, out).exit(t, 0)
	if strings.Contains(dry.stderr, "thawed") || !strings.Contains(dry.stderr, "2 requests, ") || !strings.Contains(dry.stderr, ", about ") {
		t.Errorf("a dry run says %q", dry.stderr)
	}
	f.do(t, "restore", f.url, filepath.Join(t.TempDir(), "out")).exit(t, 0)
}

// TestThawManifest restores from a bucket whose lifecycle has moved everything: the
// manifests are thawed first, as they tell what else is needed.
func TestThawManifest(t *testing.T) {
	f := newFreezer(t, time.Second)
	f.do(t, "full", "--no-encryption", f.src, f.url).exit(t, 0)
	for _, key := range f.fake.Keys(t, "cold") {
		f.fake.Freeze("cold", key, "DEEP_ARCHIVE")
	}
	out := filepath.Join(t.TempDir(), "out")
	line := lastLine(f.do(t, "restore", f.url, out).exit(t, exitStore).stderr)
	if !strings.Contains(line, "1 object (") || !strings.Contains(line, ".manifest") {
		t.Errorf("a restore says %q", line)
	}
	f.do(t, "restore", "--thaw", f.url, out).exit(t, 0)
	treetest.Equal(t, treetest.Record(t, out), treetest.Record(t, f.src), treetest.AsDuplicity())
}

// TestThawInterrupted gives a wait up as soon as the user does.
func TestThawInterrupted(t *testing.T) {
	f := newFreezer(t, time.Hour)
	f.do(t, "full", "--no-encryption", "--s3-use-glacier", f.src, f.url).exit(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said := &cancelAt{text: "Waiting until", cancel: cancel}
	env := f.env
	env.Stdout, env.Stderr = said, said
	began := time.Now()
	code := run(ctx, env, append([]string{"restore", "--thaw"}, append(f.flags, f.url, filepath.Join(t.TempDir(), "out"))...))
	if code != exitFailure || !strings.Contains(said.all.String(), "interrupted") {
		t.Errorf("exit code %d, said %q", code, said.all.String())
	}
	if d := time.Since(began); d > 30*time.Second {
		t.Errorf("it took %v", d)
	}
}

// cancelAt keeps what is written and calls cancel when text is among it.
type cancelAt struct {
	all    strings.Builder
	text   string
	cancel func()
}

func (c *cancelAt) Write(p []byte) (int, error) {
	c.all.Write(p)
	if strings.Contains(c.all.String(), c.text) {
		c.cancel()
	}
	return len(p), nil
}

// lastLine is the last line of a text, with its end.
func lastLine(text string) string {
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	return lines[len(lines)-1] + "\n"
}
