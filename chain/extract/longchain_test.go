package extract_test

import (
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/difftar"
	"hindsight/chain/extract"
	"hindsight/chain/store/storetest"
	"hindsight/chain/toc"
	"hindsight/chain/treetest"
)

// increments is how many sets hang on the full of a long chain: a month's.
const increments = 30

// longChain makes a chain of a full and a month of incrementals, whose volumes together
// have at most a tenth of the bytes of the full's.
func longChain(t *testing.T, passphrase string) *chaintest.Repository {
	t.Helper()
	r := chaintest.New(t)
	if passphrase != "" {
		r.Encrypt(passphrase)
	}
	if err := treetest.Corpus(r.Source, 0.02); err != nil {
		t.Fatal(err)
	}
	r.Backup(treetest.CorpusTime, backup.Full)
	for day := 1; day <= increments; day++ {
		if err := treetest.CorpusEdit(r.Source, day, 1); err != nil {
			t.Fatal(err)
		}
		r.Backup(treetest.CorpusTime+int64(day)*86400, backup.Incremental)
	}
	var full, rest int64
	for i, s := range r.Load().Latest().Sets {
		for _, o := range s.Volumes {
			if i == 0 {
				full += o.Size
			} else {
				rest += o.Size
			}
		}
	}
	t.Logf("the full has %d bytes, the incrementals %d", full, rest)
	if sets := len(r.Load().Latest().Sets); sets != increments+1 || rest*10 > full {
		t.Fatalf("%d sets, of which the full has %d bytes, the others %d", sets, full, rest)
	}
	return r
}

// TestLongChain restores the newest state of a long chain: every volume is fetched once,
// in one request, every file of the target is begun once, every byte of it written once,
// and nothing else anywhere. Then it restores a few directories: what holds nothing of
// them is not fetched.
func TestLongChain(t *testing.T) {
	if testing.Short() {
		t.Skip("31 backups")
	}
	for _, passphrase := range []string{"", "secret"} {
		t.Run("passphrase="+passphrase, func(t *testing.T) {
			r := longChain(t, passphrase)
			// A temporary file anywhere but in the target would be an error.
			t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
			want := treetest.Record(t, r.Source)
			sink, got, log := restoreLong(t, r, extract.Everything{})
			treetest.Equal(t, got, want, treetest.Options{})
			files := int64(want.Count(treetest.TypeFile))
			if sink.files.Load() != files || sink.bytes.Load() != want.Bytes() {
				t.Errorf("%d files were begun and %d bytes written, want %d and %d", sink.files.Load(), sink.bytes.Load(), files, want.Bytes())
			}
			fetched := fetchedVolumes(log)
			all := 0
			for _, s := range r.Load().Latest().Sets {
				for _, o := range s.Volumes {
					if all++; fetched[o.Key] != 1 {
						t.Errorf("%s was fetched %d times", o.Key, fetched[o.Key])
					}
				}
			}
			if len(fetched) != all {
				t.Errorf("%d volumes were fetched, there are %d", len(fetched), all)
			}

			below := changedLate(t, r)
			_, got, log = restoreLong(t, r, within(below))
			if len(got) < 2 {
				t.Errorf("nothing was restored of %s", below)
			}
			for _, e := range got {
				if !difftar.Within(e.Path, below) && !difftar.Within(below, e.Path) {
					t.Errorf("%s was restored, of %s", e.Path, below)
				}
			}
			fetched = fetchedVolumes(log)
			for _, s := range r.Load().Latest().Sets {
				needed := contents(t, r, s, below) > 0
				for _, o := range s.Volumes {
					if n := fetched[o.Key]; n > 0 && !needed {
						t.Errorf("%s, which has nothing of %s, was fetched %d times", o.Key, below, n)
					}
				}
			}
			if read := log.Sum(storetest.Get).Read; len(fetched) < 2 || read > 2<<20 {
				t.Errorf("%d bytes of %d volumes were fetched for %s", read, len(fetched), below)
			}
		})
	}
}

// changedLate is the directory of a file that was changed late.
func changedLate(t *testing.T, r *chaintest.Repository) string {
	t.Helper()
	for _, s := range slices.Backward(r.Load().Latest().Sets) {
		dir := ""
		eachEntry(t, r, s, func(e *toc.Entry) {
			if e.Type == difftar.Regular && e.Kind == difftar.Diff && e.Path != treetest.CorpusDump {
				dir = path.Dir(e.Path)
			}
		})
		if dir != "" {
			return dir
		}
	}
	t.Fatal("no set has a delta of a small file")
	return ""
}

// contents counts the files below a path whose contents a set has.
func contents(t *testing.T, r *chaintest.Repository, s *chain.Set, below string) (n int) {
	t.Helper()
	eachEntry(t, r, s, func(e *toc.Entry) {
		if e.Type == difftar.Regular && e.Kind != difftar.Deleted && difftar.Within(e.Path, below) {
			n++
		}
	})
	return n
}

// eachEntry calls f with what the portable index of a set names.
func eachEntry(t *testing.T, r *chaintest.Repository, s *chain.Set, f func(*toc.Entry)) {
	t.Helper()
	m, err := r.Manifest(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := r.TOC(t.Context(), s, m)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	for {
		e, err := tr.NextEntry()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		f(e)
	}
}

// restoreLong restores what a filter wants and returns what it wrote.
func restoreLong(t *testing.T, r *chaintest.Repository, f extract.Filter) (*tally, treetest.Tree, *storetest.OpLog) {
	t.Helper()
	target := filepath.Join(t.TempDir(), "target")
	disk, err := extract.NewDisk(target, extract.DiskOptions{NumericOwner: true})
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	repo := r.Repository
	log := storetest.NewOpLog(repo.Store)
	repo.Store = log
	sink := &tally{Disk: disk}
	res, err := extract.Run(t.Context(), extract.Options{
		Repository: &repo, Sets: r.Load().Latest().Sets, Filter: f, Sink: sink, Extras: extract.Extras{Times: true, Hashes: true},
	})
	if err != nil || res.Lost > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	return sink, treetest.Record(t, target), log
}

// tally counts the files that are begun and the bytes that are written.
type tally struct {
	*extract.Disk
	files, bytes atomic.Int64
}

func (s *tally) WriteFile(h extract.Handle, path string, m *difftar.Meta, data []byte) error {
	s.files.Add(1)
	s.bytes.Add(int64(len(data)))
	return s.Disk.WriteFile(h, path, m, data)
}

func (s *tally) Create(h extract.Handle, path string) error {
	s.files.Add(1)
	return s.Disk.Create(h, path)
}

func (s *tally) WriteAt(h extract.Handle, path string, p []byte, off int64) error {
	s.bytes.Add(int64(len(p)))
	return s.Disk.WriteAt(h, path, p, off)
}

// within wants one path and what is below it.
type within string

func (w within) Touches(first, last string) bool {
	return difftar.Compare(last, string(w)) >= 0 && (difftar.Compare(first, string(w)) <= 0 || difftar.Within(first, string(w)))
}

func (w within) Wants(path string, _ *difftar.Meta) extract.Verdict {
	if difftar.Within(path, string(w)) {
		return extract.Take
	}
	return extract.Skip
}

// fetchedVolumes counts the requests for each volume.
func fetchedVolumes(log *storetest.OpLog) map[string]int {
	fetched := make(map[string]int)
	for _, rec := range log.Records() {
		if rec.Op == storetest.Get && strings.Contains(rec.Name, ".vol") {
			fetched[rec.Name]++
		}
	}
	return fetched
}
