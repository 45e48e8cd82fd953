package s3store_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hindsight/chain/store"
	"hindsight/chain/treetest"
	"hindsight/s3store"
)

// answering is a store at a server that gives one answer to everything.
func answering(t testing.TB, answer func() []byte) *s3store.Store {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(answer())
	}))
	t.Cleanup(server.Close)
	c := config(server.URL, "node")
	c.Retries = 1
	s := open(t, c)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

const listHead = `<?xml version="1.0"?><ListBucketResult><Name>bucket</Name><EncodingType>url</EncodingType>`

func listed(key, size, class string) string {
	return fmt.Sprintf("<Contents><Key>%s</Key><LastModified>2026-11-20T03:00:00.000Z</LastModified><ETag>&quot;x&quot;</ETag><Size>%s</Size><StorageClass>%s</StorageClass></Contents>", key, size, class)
}

// TestListHostile passes over what is no object of the prefix, and ends.
func TestListHostile(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		want   string // names
		fails  bool
	}{
		"foreign": {answer: listed("node/a%20b+c", "1", "STANDARD") + listed("other/x", "1", "") + listed("node/", "0", "") + listed("node/a/b", "1", "") +
			listed("node/..", "1", "") + listed("node", "1", "") + listed("node/"+store.TempPrefix+"x", "1", "") + listed("node/%00", "1", ""), want: "a b c"},
		"negative":     {answer: listed("node/a", "-1", ""), fails: true},
		"no number":    {answer: listed("node/a", "many", ""), fails: true},
		"no end":       {answer: "<IsTruncated>true</IsTruncated>", fails: true},
		"same token":   {answer: "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>", fails: true},
		"other prefix": {answer: listed("nodes/a", "1", "") + listed("no", "1", "")},
	} {
		s := answering(t, func() []byte { return []byte(listHead + c.answer + "</ListBucketResult>") })
		var names []string
		var failed error
		for o, err := range s.List(t.Context(), "") {
			if err != nil {
				failed = err
				continue
			}
			names = append(names, o.Name)
		}
		if got := strings.Join(names, "|"); got != c.want || (failed != nil) != c.fails {
			t.Errorf("%s: %q, error %v; want %q", name, got, failed, c.want)
		}
	}
}

// TestListEndless gives a server up that shows nothing and never ends.
func TestListEndless(t *testing.T) {
	var n atomic.Int64
	s := answering(t, func() []byte {
		return fmt.Appendf(nil, "%s<IsTruncated>true</IsTruncated><NextContinuationToken>%d</NextContinuationToken></ListBucketResult>", listHead, n.Add(1))
	})
	for _, err := range s.List(t.Context(), "") {
		if err == nil {
			t.Error("an object is listed")
		}
	}
	if n := n.Load(); n < 100 || n > 2000 {
		t.Errorf("%d pages were asked for", n)
	}
}

// TestAnswerWithoutEnd holds little of an answer that never ends, whatever was asked
// for, and asks again only where the server says that it has failed.
func TestAnswerWithoutEnd(t *testing.T) {
	treetest.Sequential(t)
	for name, c := range map[string]struct {
		status int
		head   string
		repeat string
	}{
		"list":        {200, listHead, listed("node/a", "1", "")},
		"empty items": {200, listHead, "<Contents/>"},
		"one key":     {200, listHead + "<Contents><Key>", "aaaaaaaa"},
		"nested":      {200, listHead, "<a>"},
		"error":       {500, "<Error><Code>", "aaaaaaaa"},
	} {
		var requests, sent atomic.Int64
		chunk := []byte(strings.Repeat(c.repeat, 64<<10/len(c.repeat)))
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			w.WriteHeader(c.status)
			n, err := io.WriteString(w, c.head)
			for sent.Add(int64(n)); err == nil; sent.Add(int64(n)) {
				n, err = w.Write(chunk)
			}
		}))
		conf := config(server.URL, "node")
		conf.Retries = 2
		wantText, wantRequests := "the answer has no end", int64(1)
		if c.status == 500 { // which says enough
			wantText, wantRequests = "internal server error", 2
		}
		s := open(t, conf)
		for what, try := range map[string]func() error{
			"list":    func() error { return first(s.List(t.Context(), "")) },
			"remains": func() error { return first(s.ListRemains(t.Context(), time.Now())) },
			"delete":  func() error { return s.Delete(t.Context(), "a") },
			"get": func() error {
				rc, err := s.Get(t.Context(), "a", 0, 10)
				if err == nil {
					_ = rc.Close()
				}
				return err
			},
		} {
			if c.status == 200 && (what == "get" || what == "delete") {
				continue // the content of an object may be long, and of a Delete nothing is read
			}
			requests.Store(0)
			sent.Store(0)
			if err := try(); err == nil || !strings.Contains(err.Error(), wantText) {
				t.Errorf("%s, %s: error %v", name, what, err)
			}
			if requests.Load() != wantRequests || sent.Load() > 24<<20 { // what buffers on the way hold is not read
				t.Errorf("%s, %s: %d requests, %d bytes sent", name, what, requests.Load(), sent.Load())
			}
		}
		_ = s.Close()
		server.CloseClientConnections()
		server.Close()
	}
}

// TestRemainsOfOthers leaves alone what is no unfinished upload of ours, and one whose
// age nobody tells.
func TestRemainsOfOthers(t *testing.T) {
	upload := func(key, initiated string) string {
		return "<Upload><Key>" + key + "</Key><UploadId>1</UploadId>" + initiated + "</Upload>"
	}
	const old = "<Initiated>2020-11-20T03:00:00.000Z</Initiated>"
	answer := "<ListMultipartUploadsResult>" + upload("node/ours.1", old) + upload("node/theirs", old) + upload("node/ours.2", "") +
		upload("node/ours.3", "<Initiated>2999-11-20T03:00:00.000Z</Initiated>") + upload("other/ours.4", old) + "</ListMultipartUploadsResult>"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
	defer server.Close()
	c := config(server.URL, "node")
	c.Ours = func(name string) bool { return strings.HasPrefix(name, "ours.") }
	s := open(t, c)
	defer s.Close()
	var names []string
	for o, err := range s.ListRemains(t.Context(), time.Now()) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, o.Name)
	}
	if want := store.TempPrefix + "ours.1?uploadId=1"; len(names) != 1 || names[0] != want {
		t.Errorf("remains %q, want %q", names, want)
	}
}

// first is the error of a list that should have no other element.
func first[T any](list iter.Seq2[T, error]) error {
	for _, err := range list {
		return err
	}
	return nil
}

// TestCold tells by a list which objects may have to be thawed.
func TestCold(t *testing.T) {
	classes := map[string]bool{"GLACIER": true, "DEEP_ARCHIVE": true, "INTELLIGENT_TIERING": true, "GLACIER_IR": false, "STANDARD_IA": false, "": false}
	answer := listHead
	for class := range classes {
		answer += listed("node/o"+class, "1", class)
	}
	s := answering(t, func() []byte { return []byte(answer + "</ListBucketResult>") })
	n := 0
	for o, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if class := strings.TrimPrefix(o.Name, "o"); o.Cold != classes[class] {
			t.Errorf("class %q: cold %v", class, o.Cold)
		}
	}
	if n != len(classes) {
		t.Errorf("%d objects are listed, want %d", n, len(classes))
	}
}

// FuzzList reads whatever a server may answer to a list: names are legal, sizes
// sensible, and it ends.
func FuzzList(f *testing.F) {
	f.Add([]byte(listHead + listed("node/a%20b", "1", "GLACIER") + "</ListBucketResult>"))
	f.Add([]byte(listHead + "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken></ListBucketResult>"))
	f.Add([]byte("<Error><Code>SlowDown</Code></Error>"))
	f.Add([]byte(""))
	var answer atomic.Pointer[[]byte]
	s := answering(f, func() []byte { return *answer.Load() })
	f.Fuzz(func(t *testing.T, data []byte) {
		answer.Store(&data)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		n := 0
		for o, err := range s.List(ctx, "") {
			if n++; n > 10000 {
				break // it may list for ever, one name after the other
			}
			if err == nil && (store.CheckName(o.Name) != nil || o.Size < 0) {
				t.Errorf("listed %+v", o)
			}
		}
		for o, err := range s.ListRemains(ctx, time.Now()) {
			if n++; n > 20000 {
				break
			}
			if err == nil && !strings.HasPrefix(o.Name, store.TempPrefix) {
				t.Errorf("remains %+v", o)
			}
		}
	})
}

// FuzzContentRange reads what a server says of an answer's range.
func FuzzContentRange(f *testing.F) {
	for _, h := range []string{"bytes 0-9/100", "bytes 5-9/*", "bytes */100", "bytes 9223372036854775807-9/1", "", "bytes -1-2/3"} {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, h string) {
		first, size, ok := s3store.ContentRange(h)
		if ok && (first < 0 || size < -1) || !ok && (first != 0 || size != -1) {
			t.Errorf("range %q is %d of %d, %v", h, first, size, ok)
		}
	})
}
