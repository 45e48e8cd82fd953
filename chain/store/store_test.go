package store_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"hindsight/chain/store"
)

func TestCheckName(t *testing.T) {
	for name, legal := range map[string]bool{
		"duplicity-full.20231114T221320Z.vol1.difftar.gz": true,
		"a": true, "...": true, ".a": true, " ": true, "ü": true, "\xff": true, "a\nb": true,
		strings.Repeat("n", store.MaxName):   true,
		".hindsight-put":                     true,
		"x" + store.TempPrefix:               true,
		"":                                   false,
		".":                                  false,
		"..":                                 false,
		"/":                                  false,
		"a/b":                                false,
		"a\x00b":                             false,
		store.TempPrefix:                     false,
		store.TempPrefix + "a":               false,
		strings.Repeat("n", store.MaxName+1): false,
	} {
		err := store.CheckName(name)
		if legal != (err == nil) || !legal && !errors.Is(err, store.ErrName) {
			t.Errorf("name %.40q: error %v, want it to be legal: %v", name, err, legal)
		}
	}
}

func TestErrorText(t *testing.T) {
	cause := errors.New("status 403")
	for _, c := range []struct {
		err  store.Error
		want string
	}{
		{store.Error{Op: "get", Name: "x"}, "get x: failed"},
		{store.Error{Op: "list", Err: cause}, "list: status 403"},
		{store.Error{Op: "get", Name: "x", Kind: store.ErrNotExist}, "get x: does not exist"},
		{store.Error{Op: "get", Name: "x", Err: store.ErrNotExist}, "get x: does not exist"},
		{store.Error{Op: "put", Name: "x", Kind: store.ErrPermission, Err: cause}, "put x: permission denied: status 403"},
		{store.Error{Op: "put", Name: "x", Kind: store.ErrNoSpace, Err: errors.New("no space left on device")}, "put x: no space left on device"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestErrorIs(t *testing.T) {
	var err error = &store.Error{Op: "get", Name: "x", Kind: store.ErrNotExist, Err: fs.ErrNotExist}
	for target, want := range map[error]bool{store.ErrNotExist: true, fs.ErrNotExist: true, store.ErrExist: false} {
		if got := errors.Is(err, target); got != want {
			t.Errorf("errors.Is %q: %v, want %v", target, got, want)
		}
	}
	if e, ok := errors.AsType[*store.Error](err); !ok || e.Op != "get" {
		t.Errorf("errors.As gives %v, %v", e, ok)
	}
}
