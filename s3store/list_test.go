package s3store_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hindsight/chain/store"
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
