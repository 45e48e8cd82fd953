package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hindsight/chain/treetest"
	"hindsight/s3store/s3test"
)

// s3Killed is a repository on a slow server whose backups get killed while they
// upload.
type s3Killed struct {
	*s3Node
	fake   *s3test.Fake
	clock  int64
	states map[int64]treetest.Tree // of sets that are complete
	took   map[string]time.Duration
}

// s3KillRate makes uploads the longest part of a backup, in bytes per second of each.
const s3KillRate = 30_000_000

func newS3Killed(t *testing.T, rng *rand.Rand) *s3Killed {
	t.Helper()
	fake := s3test.NewFake(t, s3test.Options{Buckets: []string{s3Bucket}})
	fake.Break(0, s3test.Rule{Op: s3test.UploadPart, Times: -1, Effect: s3test.Slow, At: s3KillRate},
		s3test.Rule{Op: s3test.PutObject, Times: -1, Effect: s3test.Slow, At: s3KillRate})
	k := &s3Killed{
		s3Node: newS3Node(t, fake.URL, s3test.Root, "node"), fake: fake, clock: treetest.BaseTime,
		states: make(map[int64]treetest.Tree), took: make(map[string]time.Duration),
	}
	treetest.Random(t, k.src, rng, treetest.RandomOptions{Nodes: 40, MaxSize: 100 << 10})
	for _, command := range []string{"full", "incremental"} {
		k.edit(t, rng)
		begin := time.Now()
		k.run(t, command, k.next()...).OK(t)
		k.took[command] = time.Since(begin)
		k.states[k.clock] = treetest.Record(t, k.src)
	}
	return k
}

// edit replaces a file that goes up in parts, and more.
func (k *s3Killed) edit(t *testing.T, rng *rand.Rand) {
	t.Helper()
	noise := make([]byte, 20<<20)
	if _, err := rand.NewChaCha8([32]byte{byte(rng.Int())}).Read(noise); err != nil {
		t.Fatal(err)
	}
	treetest.Mutate(t, k.src, rng, k.clock+1000, 10, treetest.RandomOptions{MaxSize: 100 << 10})
	treetest.Write(t, k.src, treetest.File("large", string(noise)).At(k.clock+1000))
}

// next are the arguments of a backup a day later.
func (k *s3Killed) next() []string {
	k.clock += 86400
	return []string{"--current-time", epochText(k.clock), "--volsize", "18", "--no-compression", k.src, k.url}
}

// setTime is a set's time in the names of its objects.
func setTime(at int64) string { return time.Unix(at, 0).UTC().Format("20060102T150405Z") }

func (k *s3Killed) committed(t *testing.T, at int64) bool {
	t.Helper()
	for _, key := range k.fake.Keys(t, s3Bucket) {
		if strings.HasSuffix(key, setTime(at)+".manifest") {
			return true
		}
	}
	return false
}

// trial kills a backup at a random moment and restores the newest state, which must be
// that of the last set with a manifest.
func (k *s3Killed) trial(t *testing.T, rng *rand.Rand) {
	t.Helper()
	command := []string{"full", "incremental"}[rng.IntN(2)]
	k.edit(t, rng)
	tree := treetest.Record(t, k.src)
	after := time.Duration(rng.Int64N(int64(k.took[command])))
	k.kill(t, after, k.args(command, k.next()...)...)
	if k.committed(t, k.clock) {
		k.states[k.clock] = tree
	}
	newest := int64(0)
	for at := range k.states {
		newest = max(newest, at)
	}
	t.Logf("%s killed after %v: committed %v, unfinished uploads %d", command, after.Round(time.Millisecond), newest == k.clock, k.fake.Uploads())
	k.restores(t, k.states[newest])
}

// cleaned removes what the killed backups left, a day later, when no upload can still
// be at work. Only sets that are complete must be there then.
func (k *s3Killed) cleaned(t *testing.T) {
	t.Helper()
	for _, v := range awsEnviron(nil, s3test.Root) {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	w := newWorld(t)
	w.env.Now = func() time.Time { return time.Now().Add(25 * time.Hour) }
	w.run(t, "cleanup", "--force", "--s3-endpoint-url", k.endpoint, "--cache-dir", filepath.Join(k.home, "other-cache"), k.url).exit(t, 0)
	if n := k.fake.Uploads(); n != 0 {
		t.Errorf("cleanup leaves %d unfinished uploads", n)
	}
	for _, key := range k.fake.Keys(t, s3Bucket) {
		complete := false
		for at := range k.states {
			for _, kind := range []string{".vol", ".sigtar", ".manifest"} {
				complete = complete || strings.Contains(key, setTime(at)+kind)
			}
			complete = complete || strings.HasSuffix(key, setTime(at)) // the portable index, as it is not compressed
		}
		if !complete {
			t.Errorf("cleanup leaves %s, of no complete set", key)
		}
	}
	for at, want := range k.states {
		k.restores(t, want, "--time", epochText(at))
	}
}

// TestSoakS3Kill kills backups with SIGKILL during their uploads: a few times, or for
// as long as a soak run goes on.
func TestSoakS3Kill(t *testing.T) {
	treetest.NeedRoot(t)
	const trials = 4
	if testing.Short() {
		t.Skip("short run")
	}
	rng := treetest.Rand(t, rand.Uint64())
	end := time.Now().Add(treetest.SoakTime(t, 0))
	for i := 0; i == 0 || time.Now().Before(end) && !t.Failed(); i++ {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			k := newS3Killed(t, rng)
			for range trials {
				k.trial(t, rng)
			}
			k.cleaned(t)
			k.edit(t, rng)
			k.run(t, "incremental", k.next()...).OK(t)
			k.restores(t, treetest.Record(t, k.src))
		})
	}
}
