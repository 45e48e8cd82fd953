package pgp_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"hindsight/chain/inflate"
	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

// What repeats becomes one run, and no chunk is lost.
func TestRuns(t *testing.T) {
	gpg24 := strings.Repeat(strings.Repeat("\xEA\xEA\xEC\xEB", 19)+"\xEF\xEE\xED\xEC\xEB\xEA\xEA\xEA", 100)
	rnd := rand.New(rand.NewPCG(1, 1))
	var wild []byte
	for range 10_000 {
		wild = append(wild, 0xE0|byte(rnd.IntN(3)))
	}
	for _, tt := range []struct {
		name  string
		chain string // of one octet each
		most  int    // runs
	}{
		{"nothing", "", 0},
		{"one", "\xED", 1},
		{"ours", strings.Repeat("\xF0", 5000), 1},
		{"gpg", strings.Repeat("\xED", 5000) + "\xEB\xE9", 2},
		{"gpg 2.4", gpg24, 300},
		{"no pattern", string(wild), 10_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var octets []string
			for _, c := range []byte(tt.chain) {
				octets = append(octets, string([]byte{c}))
			}
			runs := pgp.Runs(append(octets, "\x05"))
			var got strings.Builder
			for _, r := range runs {
				got.WriteString(strings.Repeat(string(r.Lengths), int(r.Count)))
			}
			if got.String() != tt.chain+"\x05" {
				t.Error("other chunks than there were")
			}
			if len(runs) > tt.most+1 {
				t.Errorf("%d runs, want at most %d", len(runs), tt.most+1)
			}
		})
	}
}

func TestTooManyRuns(t *testing.T) {
	treetest.Sequential(t)
	rnd := rand.New(rand.NewPCG(1, 1))
	var octets []string
	for range 20 * pgp.MaxRuns {
		octets = append(octets, string([]byte{0xE0 | byte(rnd.IntN(20))}))
	}
	if runs := pgp.Runs(octets); runs != nil {
		t.Errorf("%d runs", len(runs))
	}
}

// The layout of a message is known once it was read, whatever chunks it is cut into, and
// ranges of it decrypt.
func TestReaderLayout(t *testing.T) {
	kr := symmetric(passphrase)
	s := session(t, kr, pgp.Recipients{Symmetric: true})
	data := sample(100_000, 5)
	rnd := rand.New(rand.NewPCG(5, 5))
	for _, compress := range []bool{false, true} {
		msg := rechunk(seal(t, s, data, 10_000, compress), len(s.ESK()), rnd)
		r, err := pgp.NewReader(t.Context(), bytes.NewReader(msg), kr, pgp.ReaderOptions{OnBlock: func(*inflate.Reader, inflate.Checkpoint) {}})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := r.Layout(); ok {
			t.Error("a layout before the end")
		}
		var got bytes.Buffer
		if _, err := got.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		same(t, got.Bytes(), data)
		l, ok := r.Layout()
		if !ok || l.Size() != int64(len(msg)) || l.Start != 19 {
			t.Fatalf("layout %+v of %d bytes, want %d", l, l.Size(), len(msg))
		}
		raw, err := pgp.NewReader(t.Context(), bytes.NewReader(msg), kr, pgp.ReaderOptions{Raw: true})
		if err != nil {
			t.Fatal(err)
		}
		var content bytes.Buffer
		if _, err := content.ReadFrom(raw); err != nil || int64(content.Len()) != l.Len {
			t.Fatalf("%d bytes of content, %v, want %d", content.Len(), err, l.Len)
		}
		key, err := kr.SessionKey(t.Context(), r.ESK(), r.Prefix())
		if err != nil {
			t.Fatal(err)
		}
		for range 300 {
			off := rnd.Int64N(l.Len)
			n := 1 + rnd.Int64N(l.Len-off)
			at, length, err := l.Range(off, n)
			if err != nil {
				t.Fatal(err)
			}
			got, err := l.ReadRange(key, bytes.Clone(msg[at:at+length]), off, n)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, content.Bytes()[off:off+n])
		}
	}
}

// rechunk cuts the encrypted packet of a message of one chunk or more into others.
func rechunk(msg []byte, head int, rnd *rand.Rand) []byte {
	out := bytes.Clone(msg[:head+1])
	var body []byte
	for rest := msg[head+1:]; ; {
		n, used, partial := pgp.ParseLength(rest)
		body = append(body, rest[used:used+int(n)]...)
		if rest = rest[used+int(n):]; !partial {
			break
		}
	}
	for size := 9; ; size = rnd.IntN(12) {
		if len(body) < 1<<size {
			return append(pgp.AppendLength(out, len(body)), body...)
		}
		out = append(append(out, 0xE0|byte(size)), body[:1<<size]...)
		body = body[1<<size:]
	}
}

func TestLayoutCheck(t *testing.T) {
	last := pgp.Run{Lengths: []byte{141}, Count: 1}
	ok := pgp.Layout{Head: 20, Start: 19, Len: 100, Runs: []pgp.Run{last}}
	for name, change := range map[string]func(*pgp.Layout){
		"negative head":        func(l *pgp.Layout) { l.Head = -1 },
		"start at the version": func(l *pgp.Layout) { l.Start = 0 },
		"longer":               func(l *pgp.Layout) { l.Len++ },
		"no chunks":            func(l *pgp.Layout) { l.Runs = nil },
		"open end":             func(l *pgp.Layout) { l.Runs = []pgp.Run{{Lengths: []byte{0xE0}, Count: 141}} },
		"two ends":             func(l *pgp.Layout) { l.Runs = []pgp.Run{last, {Lengths: []byte{0}, Count: 1}} },
		"end twice":            func(l *pgp.Layout) { l.Runs = []pgp.Run{{Lengths: []byte{70}, Count: 2}} },
		"never":                func(l *pgp.Layout) { l.Runs = []pgp.Run{{Lengths: []byte{0xE0}, Count: 0}, last} },
		"cut length":           func(l *pgp.Layout) { l.Runs = []pgp.Run{{Lengths: []byte{0xFF, 0}, Count: 1}} },
		"empty run":            func(l *pgp.Layout) { l.Runs = []pgp.Run{{Count: 1}, last} },
		"overflow":             func(l *pgp.Layout) { l.Runs = []pgp.Run{{Lengths: []byte{0xFE}, Count: 1 << 40}, last} },
	} {
		l := ok
		change(&l)
		if err := l.Check(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := ok.Check(); err != nil {
		t.Error(err)
	}
}
