package index_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/dirstore"
	"hindsight/chain/treetest"
	"hindsight/index"
)

// childEnv makes the test's program one that does a childJob, as JSON.
const childEnv = "HINDSIGHT_INDEX_TEST_CHILD"

// childJob is to build or read an index until the process is killed, or to make or walk
// over one of many files.
type childJob struct {
	What, Repo, Dir string
	Want            map[int64]uint64 // digests of the trees
	Files           int
}

// child runs a childJob. It says a word on standard output for all that it has done.
func child(text string) error {
	var job childJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	x, err := index.Open(job.Dir, index.Options{Identity: "test"})
	if err != nil {
		return err
	}
	defer x.Close()
	switch job.What {
	case "read":
		return childRead(x, job.Want)
	case "make", "walk":
		return childMillion(x, &job)
	}
	st, err := dirstore.Open(job.Repo, false)
	if err != nil {
		return err
	}
	r := &chain.Repository{Store: st}
	for n := 0; ; n++ { // each time with other sets, so that there is something to do
		col, err := chain.Load(context.Background(), st, r.Scheme)
		if err != nil {
			return err
		}
		sets := col.Chains[0].Sets
		col.Chains[0].Sets = sets[:1+(os.Getpid()+n)%len(sets)]
		if _, err := x.Build(context.Background(), r, col, index.BuildOptions{}); err != nil {
			return err
		}
		fmt.Println("built")
	}
}

func childRead(x *index.Index, want map[int64]uint64) error {
	for {
		if _, err := x.Refresh(); err != nil {
			return err
		}
		for _, s := range x.Snapshots() {
			got, err := digest(s)
			if err != nil {
				return err
			}
			if got != want[int64(s.Time)] {
				return fmt.Errorf("snapshot %v is not what it was", s.Time)
			}
		}
		fmt.Println("read")
	}
}

// digest sums up all paths of a snapshot.
func digest(s *index.Snapshot) (uint64, error) {
	h := fnv.New64()
	err := s.Walk(context.Background(), index.Root, func(path string, e index.Entry) error {
		fmt.Fprintf(h, "%q %v %d %x\n", path, e.Meta, e.Size, e.Hash)
		return nil
	})
	return h.Sum64(), err
}

// process is a child that runs.
type process struct {
	what  string
	cmd   *exec.Cmd
	words chan struct{} // one for each thing that it has done; closed when it ends
}

func start(t *testing.T, job childJob) *process {
	t.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{what: job.What, cmd: exec.Command(os.Args[0]), words: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.words)
		for s := bufio.NewScanner(out); s.Scan(); {
			select {
			case p.words <- struct{}{}:
			default:
			}
		}
	}()
	return p
}

// does waits until a child has done something more.
func (p *process) does(t *testing.T) {
	t.Helper()
	select {
	case _, ok := <-p.words:
		if !ok {
			t.Fatalf("the child that should %s has ended: %v", p.what, p.cmd.Wait())
		}
	case <-time.After(2 * time.Minute):
		t.Fatalf("the child that should %s hangs", p.what)
	}
}

// kill ends a child, which must not have ended before.
func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range p.words {
	}
	var exit *exec.ExitError
	if err := p.cmd.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Errorf("the child that should %s ended before it was killed: %v", p.what, err)
	}
}

// TestSoakKill has two processes build and two read one index, and kills one of them at
// a random moment, over and over. The others must not notice.
func TestSoakKill(t *testing.T) {
	treetest.Sequential(t) // processes, each of which does one thing
	r := chaintest.New(t)
	rng := treetest.Rand(t, uint64(time.Now().UnixNano()))
	treetest.Random(t, r.Source, rng, treetest.RandomOptions{Nodes: 300, MaxSize: 2000})
	want := make(map[int64]uint64)
	dir := t.TempDir()
	x := openIndex(t, dir)
	for day := range int64(5) {
		at := treetest.BaseTime + day*1000
		treetest.Mutate(t, r.Source, rng, at-100, 30, treetest.RandomOptions{MaxSize: 2000})
		r.Backup(at, backup.Auto)
	}
	build(t, x, &r.Repository, r.Load())
	for _, s := range x.Snapshots() {
		sum, err := digest(s)
		if err != nil {
			t.Fatal(err)
		}
		want[int64(s.Time)] = sum
	}
	job := func(n int) childJob {
		return childJob{What: []string{"build", "build", "read", "read"}[n], Repo: r.Dir, Dir: dir, Want: want}
	}
	var all []*process
	for n := range 4 {
		all = append(all, start(t, job(n)))
	}
	kills := 0
	for end := time.Now().Add(treetest.SoakTime(t, 4*time.Second)); time.Now().Before(end); kills++ {
		n := rng.IntN(4)
		all[n].does(t)
		time.Sleep(time.Duration(rng.IntN(150)) * time.Millisecond) // a random moment
		all[n].kill(t)
		all[n] = start(t, job(n))
		all[(n+1)%4].does(t)
	}
	t.Logf("%d kills", kills)
	for _, p := range all {
		p.does(t)
		p.kill(t)
	}
	last := openIndex(t, dir)
	build(t, last, &r.Repository, r.Load())
	if n := len(last.Snapshots()); n != len(want) {
		t.Errorf("%d snapshots, want %d", n, len(want))
	}
	for _, s := range last.Snapshots() {
		if sum, err := digest(s); err != nil || sum != want[int64(s.Time)] {
			t.Errorf("snapshot %v: %v, or not what it was", s.Time, err)
		}
	}
	if list := glob(t, dir, "new-*"); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}
	if list := glob(t, filepath.Join(dir, "scans"), "*"); len(list) != 0 {
		t.Errorf("scans of what needs none: %v", list)
	}
}
