package pgp_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"hindsight/chain/pgp"
)

func TestSessionReuse(t *testing.T) {
	kr := symmetric(passphrase)
	first := session(t, kr, pgp.Recipients{Symmetric: true})
	msg := seal(t, first, []byte("full"), 1<<20, true)
	esk, err := pgp.ReadESK(msg[:40])
	if err != nil {
		t.Fatal(err)
	}
	same(t, esk, first.ESK())
	next, err := kr.NewSession(t.Context(), pgp.Recipients{Symmetric: true}, pgp.SessionOptions{ESK: esk})
	if err != nil {
		t.Fatal(err)
	}
	same(t, next.ESK(), first.ESK())
	if msg2 := seal(t, next, []byte("full"), 1<<20, true); bytes.Equal(msg, msg2) {
		t.Error("two messages of one key are equal: the prefix is not random")
	}
	if !pgp.Symmetric(esk) || pgp.Symmetric(nil) || pgp.Symmetric([]byte("\xC1\x0A\x0301234567\x01")) {
		t.Error("it cannot be told whether a passphrase opens a message")
	}
	if other := session(t, kr, pgp.Recipients{Symmetric: true}); bytes.Equal(other.ESK(), first.ESK()) {
		t.Error("two sessions have one salt")
	}
}

// A head that would weaken the key is not taken over.
func TestSessionReuseRefusesWeak(t *testing.T) {
	weak := session(t, symmetric(passphrase), pgp.Recipients{Symmetric: true}).ESK()
	strong := pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte(passphrase)), S2KCount: 1 << 20})
	md5 := bytes.Clone(weak)
	md5[5], md5[14] = 1, 0xFF
	aes128 := bytes.Clone(weak)
	aes128[3], aes128[14] = 7, 0xFF
	for name, esk := range map[string][]byte{
		"count": weak, "hash": md5, "cipher": aes128, "nothing": nil, "garbage": []byte("\xC3\xFFxxxxx"),
	} {
		s, err := strong.NewSession(t.Context(), pgp.Recipients{Symmetric: true}, pgp.SessionOptions{ESK: esk})
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(s.ESK(), esk) {
			t.Errorf("%s: a weak packet was taken over", name)
		}
	}
}

func TestReadESKErrors(t *testing.T) {
	for _, head := range []string{"", "x", "\xC3", "\xC3\x0D\x04\x09", "\xD2\xF0"} {
		if _, err := pgp.ReadESK([]byte(head)); err == nil {
			t.Errorf("ReadESK(%q): no error", head)
		}
	}
}

// The default strength is gpg's, and one wait serves all of a set.
func TestDefaultCount(t *testing.T) {
	kr := pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte(passphrase + "\nnot a part"))})
	esk := session(t, kr, pgp.Recipients{Symmetric: true}).ESK()
	if want := "\xC3\x0D\x04\x09\x03\x08"; !strings.HasPrefix(string(esk), want) || esk[14] != 0xFF {
		t.Errorf("head is %x, want %x, salt, ff", esk, want)
	}
}

func TestSecretsHaveNoText(t *testing.T) {
	key := session(t, symmetric(passphrase), pgp.Recipients{Symmetric: true}).Key()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, key); got != "session key" {
			t.Errorf("%s of a key gives %q", verb, got)
		}
	}
}

// Any range of a stored message decrypts alone.
func TestReadRange(t *testing.T) {
	kr := symmetric(passphrase)
	s := session(t, kr, pgp.Recipients{Symmetric: true})
	rnd := rand.New(rand.NewPCG(12, 12))
	for _, n := range []int{1, 100, 65480, 65494, 65495, 65517, 65518, 131040, 300000} {
		content := sample(n, uint64(n))
		var out bytes.Buffer
		w, err := s.NewWriter(&out, pgp.WriterOptions{Compressed: n%2 == 0})
		if err != nil {
			t.Fatal(err)
		}
		for rest := content; len(rest) > 0; {
			m := min(len(rest), 1+rnd.IntN(100<<10))
			if _, err := w.Write(rest[:m]); err != nil {
				t.Fatal(err)
			}
			rest = rest[m:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		l := w.Layout()
		if err := l.Check(); err != nil {
			t.Fatal(err)
		}
		if got := l.Size(); got != int64(out.Len()) {
			t.Fatalf("%d bytes: layout says %d stored bytes, want %d", n, got, out.Len())
		}
		key, err := kr.SessionKey(t.Context(), s.ESK(), w.Prefix())
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			from := rnd.IntN(n)
			size := 1 + rnd.IntN(n-from)
			at, length, err := l.Range(int64(from), int64(size))
			if err != nil {
				t.Fatal(err)
			}
			raw := bytes.Clone(out.Bytes()[at : at+length])
			got, err := l.ReadRange(key, raw, int64(from), int64(size))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, content[from:from+size]) {
				t.Fatalf("range %d+%d of %d: wrong bytes", from, size, n)
			}
		}
	}
}

func TestRangeErrors(t *testing.T) {
	l := pgp.Layout{Head: 20, Start: 19, Len: 100, Runs: []pgp.Run{{Lengths: []byte{141}, Count: 1}}}
	if err := l.Check(); err != nil {
		t.Fatal(err)
	}
	for _, r := range [][2]int64{{-1, 5}, {0, 0}, {0, 101}, {100, 1}, {1, 1<<63 - 1}} {
		if _, _, err := l.Range(r[0], r[1]); err == nil {
			t.Errorf("Range(%d, %d): no error", r[0], r[1])
		}
	}
	if _, err := l.ReadRange(pgp.SessionKey{}, make([]byte, 3), 0, 50); err == nil {
		t.Error("ReadRange of too few bytes: no error")
	}
}
