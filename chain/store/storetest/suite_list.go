package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"hindsight/chain/store"
)

func checkDelete(t *testing.T, s store.Store) {
	put(t, s, "a", []byte("a"))
	put(t, s, "ab", []byte("ab"))
	for range 2 { // missing the second time
		if err := s.Delete(t.Context(), "a"); err != nil {
			t.Fatalf("delete: %v", err)
		}
	}
	_, err := s.Get(t.Context(), "a", 0, -1)
	wantErr(t, "get of a deleted object", err, store.ErrNotExist)
	wantNames(t, s, "", "ab")
	wantObject(t, s, "ab", []byte("ab"))
}

func checkList(t *testing.T, s store.Store) {
	wantNames(t, s, "")
	for _, name := range []string{"dup.vol1", "dup.vol10", "dup.vol2", "dup", "Dup", "other", "zz"} {
		put(t, s, name, []byte(name))
	}
	wantNames(t, s, "", "Dup", "dup", "dup.vol1", "dup.vol10", "dup.vol2", "other", "zz")
	wantNames(t, s, "dup", "dup", "dup.vol1", "dup.vol10", "dup.vol2")
	wantNames(t, s, "dup.vol1", "dup.vol1", "dup.vol10")
	wantNames(t, s, "dup.vol10", "dup.vol10")
	wantNames(t, s, "up")
	wantNames(t, s, "dup/")
	wantNames(t, s, store.TempPrefix)
	wantNames(t, s, strings.Repeat("x", 2*store.MaxName))
	now := time.Now()
	for name, o := range list(t, s, "") {
		if o.Size != int64(len(name)) {
			t.Errorf("list: %s has %d bytes, want %d", name, o.Size, len(name))
		}
		// A server's clock may be off, but not by a day.
		if d := now.Sub(o.Time); d < -24*time.Hour || d > 24*time.Hour {
			t.Errorf("list: %s has time %v, put at about %v", name, o.Time, now)
		}
	}
}

func checkListMany(t *testing.T, s store.Store) {
	const n = 1100 // more than one page of S3, or one batch of a directory
	var want []string
	for i := range n {
		name := fmt.Sprintf("object.%04d", i)
		want = append(want, name)
		put(t, s, name, nil)
	}
	wantNames(t, s, "object.", want...)
	wantNames(t, s, "object.1", want[1000:]...)
	// Deleting what is listed while it is listed must reach every object.
	for o, err := range s.List(t.Context(), "object.0") {
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), o.Name); err != nil {
			t.Fatal(err)
		}
	}
	wantNames(t, s, "", want[1000:]...)
}

func checkListStops(t *testing.T, s store.Store) {
	for i := range 10 {
		put(t, s, fmt.Sprintf("object.%d", i), nil)
	}
	all := s.List(t.Context(), "")
	for range 2 { // the same sequence again begins anew
		n := 0
		for _, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 3 {
				break
			}
		}
		if n != 3 {
			t.Fatalf("list yielded %d objects before the break, want 3", n)
		}
	}
}

func checkDoneContext(t *testing.T, s store.Store) {
	put(t, s, "object", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var errs []error
	for o, err := range s.List(ctx, "") {
		errs = append(errs, err)
		if err != nil && o != (store.Object{}) {
			t.Errorf("list yields the object %v beside an error", o)
		}
	}
	if len(errs) != 1 {
		t.Fatalf("list with a done context yielded %v, want one error alone", errs)
	}
	wantErr(t, "list with a done context", errs[0], context.Canceled)
	_, err := get(ctx, s, "object", 0, -1)
	wantErr(t, "get with a done context", err, context.Canceled)
	body := newCountedBody(nil, []byte("new"))
	wantErr(t, "put with a done context", s.Put(ctx, "object", body, store.PutOptions{}), context.Canceled)
	body.check(t)
	wantErr(t, "delete with a done context", s.Delete(ctx, "object"), context.Canceled)
	wantObject(t, s, "object", []byte("x"))
}

// oddNames are legal and have made trouble somewhere: in URLs, in signatures of
// requests, in XML, on a command line.
var oddNames = []string{
	"with space", " leading", "trailing ", "two  spaces", "plus+plus", "per%cent", "%41", "%2F", "a%2Fb",
	"colon:2023-11-14T22:13:20Z", "ümläut", "日本語", "e\u0301", "é", "emoji 🙂", "q?x=1&y=2", "hash#tag", "semi;colon", "at@sign",
	"eq=ual", "a'b\"c", "<xml>&amp;", "back\\slash", "star*", "[brackets]", "{braces}", "$dollar", "~tilde", "-dash", "--flag=x",
	"comma,comma", "(paren)", "pipe|", "..dots", "...", ".hidden", "trailing.", "UPPER", "upper", "`tick`", "!bang", "^caret",
	".hindsight-pu", strings.Repeat("n", store.MaxName),
}

func checkOddNames(t *testing.T, s store.Store) {
	for i, name := range oddNames {
		put(t, s, name, pattern(i, 10+i))
	}
	wantNames(t, s, "", oddNames...)
	for i, name := range oddNames {
		wantObject(t, s, name, pattern(i, 10+i))
		if _, ok := list(t, s, name)[name]; !ok {
			t.Errorf("list with prefix %q does not show the object of that name", name)
		}
	}
	for _, name := range oddNames {
		if err := s.Delete(t.Context(), name); err != nil {
			t.Errorf("delete %q: %v", name, err)
		}
	}
	wantNames(t, s, "")
}

func checkBadNames(t *testing.T, s store.Store) {
	for _, name := range []string{
		"", ".", "..", "/", "a/b", "/a", "a/", "../a", "nul\x00", store.TempPrefix, store.TempPrefix + "x",
		strings.Repeat("n", store.MaxName+1),
	} {
		body := newCountedBody(nil, []byte("x"))
		wantErr(t, fmt.Sprintf("put %q", name), s.Put(t.Context(), name, body, store.PutOptions{}), store.ErrName)
		body.check(t)
		_, err := s.Get(t.Context(), name, 0, -1)
		wantErr(t, fmt.Sprintf("get %q", name), err, store.ErrName)
		wantErr(t, fmt.Sprintf("delete %q", name), s.Delete(t.Context(), name), store.ErrName)
	}
	wantNames(t, s, "")
}
