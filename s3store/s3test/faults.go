package s3test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Effect is what happens to a request that a rule hits.
type Effect uint8

const (
	// Error answers with Status and Code; the server never hears of the request.
	Error Effect = iota
	// Lost has the request carried out, and answers with Status and Code all the same.
	Lost
	// ResetRequest reads At bytes of the request's body and resets the connection. The
	// request is not carried out.
	ResetRequest
	// ResetResponse sends At bytes of the answer's body and resets the connection; if
	// they are none, nothing of the answer is sent.
	ResetResponse
	// Truncate sends At bytes of the answer's body under headers that promise all of
	// it, and closes the connection in good order.
	Truncate
	// Short ends the answer's body after At bytes under headers that promise no more.
	Short
	// StallRequest reads At bytes of the request's body and then nothing.
	StallRequest
	// StallResponse sends At bytes of the answer's body and then nothing; if they are
	// none, nothing of the answer is sent.
	StallResponse
	// WrongETag has the request carried out and changes the ETag of the answer, in its
	// head alone.
	WrongETag
	// Flip inverts the lowest bit of byte At of the answer's body.
	Flip
	// Slow lets the bodies of request and answer pass at At bytes per second.
	Slow
	// Wait lets the request wait for the time For, and then go on.
	Wait
)

var effectNames = []string{
	"error", "lost answer", "request reset", "answer reset", "answer truncated", "answer short", "request stalled",
	"answer stalled", "wrong ETag", "bit flipped", "slow", "wait",
}

// Random as At of a Rule is a place within the body, chosen anew for every request.
const Random = -1

// Rule says which requests are broken, and how. Put with an error every third part
// for a while is Rule{Op: UploadPart, Nth: 3, Times: 9, Status: 503, Code: "SlowDown"};
// two requests of a hundred at random are Rule{Chance: 0.02}.
type Rule struct {
	Op     Op      // empty: any
	Match  string  // pattern of path.Match for the last component of the key; empty: any
	Nth    int     // the first matching request to be hit, from 1; 0 is 1
	Times  int     // how many in a row are hit; 0 is 1, negative is all from then on
	Chance float64 // 0 to 1: hit by chance instead of by Nth and Times
	Effect Effect
	At     int64         // see Effect; bytes, or Random
	Status int           // of Error and Lost; 0 is 503
	Code   string        // of Error and Lost; empty is SlowDown
	Header http.Header   // of Error and Lost, besides what every error has
	For    time.Duration // of Wait
}

// SlowDown is how S3 says that it has too much to do: times requests in a row, from
// the nth of op on.
func SlowDown(op Op, nth, times int) Rule { return Rule{Op: op, Nth: nth, Times: times} }

// matches says whether a rule concerns a request.
func (r *Rule) matches(op Op, key string) bool {
	if r.Op != "" && r.Op != op {
		return false
	}
	if r.Match == "" {
		return true
	}
	ok, err := path.Match(r.Match, key[strings.LastIndexByte(key, '/')+1:])
	if err != nil {
		panic("s3test: malformed pattern " + r.Match)
	}
	return ok
}

// hits says whether the n-th matching request is hit.
func (r *Rule) hits(n int, rng *rand.Rand) bool {
	if r.Chance > 0 {
		return rng.Float64() < r.Chance
	}
	first, times := max(r.Nth, 1), r.Times
	if times == 0 {
		times = 1
	}
	return n >= first && (times < 0 || n-first < times)
}

// Faults breaks requests by rule. It is safe for concurrent use.
type Faults struct {
	t testing.TB

	mu    sync.Mutex
	rng   *rand.Rand
	rules []Rule
	seen  []int // requests that matched, per rule
	fired []int // requests that were hit, per rule
}

func newFaults(t testing.TB) *Faults { return &Faults{t: t, rng: rand.New(rand.NewPCG(0, 0))} }

// Break replaces all rules. Chance and Random follow the seed, which goes to the
// test's log. Every rule counts for itself; where several hit one request, the first
// of them has effect. Without rules nothing is broken any more.
func (f *Faults) Break(seed uint64, rules ...Rule) {
	f.t.Helper()
	f.t.Logf("faults: seed %d, %d rules", seed, len(rules))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rng = rand.New(rand.NewPCG(seed, 0))
	f.rules = slices.Clone(rules)
	f.seen, f.fired = make([]int, len(rules)), make([]int, len(rules))
}

// Fired is how many requests rule i has hit, in the order given to Break: a test
// whose fault never struck has shown nothing.
func (f *Faults) Fired(i int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired[i]
}

// AllFired fails the test unless every rule has hit something.
func (f *Faults) AllFired(t testing.TB) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, r := range f.rules {
		t.Logf("faults: %s of %q hit %d of %d requests", effectNames[r.Effect], r.Op, f.fired[i], f.seen[i])
		if f.fired[i] == 0 {
			t.Errorf("rule %d (%s of %q) never struck", i, effectNames[r.Effect], r.Op)
		}
	}
}

// hit returns a copy of the rule that a request falls to. Random places are still to
// be chosen.
func (f *Faults) hit(op Op, key string) (Rule, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := -1
	for i := range f.rules {
		r := &f.rules[i]
		if !r.matches(op, key) {
			continue
		}
		f.seen[i]++
		if found < 0 && r.hits(f.seen[i], f.rng) {
			found = i
			f.fired[i]++
		}
	}
	if found < 0 {
		return Rule{}, false
	}
	return f.rules[found], true
}

// place is where in a body of length bytes, or of unknown length if that is
// negative, a rule strikes.
func (f *Faults) place(at, length int64) int64 {
	switch {
	case at >= 0:
		return at
	case length <= 0:
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rng.Int64N(length)
}

// wrap breaks what comes to next.
func (f *Faults) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op, _, key := operation(r)
		rule, ok := f.hit(op, key)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		f.strike(rule, next, w, r)
	})
}

func (f *Faults) strike(rule Rule, next http.Handler, w http.ResponseWriter, r *http.Request) {
	switch rule.Effect {
	case Error:
		rule.answer(w, r)
	case Lost:
		next.ServeHTTP(&nowhere{header: http.Header{}}, r)
		rule.answer(w, r)
	case ResetRequest, StallRequest:
		at := f.place(rule.At, r.ContentLength)
		_, _ = copyN(r.Body, at) // a client that goes first is as good
		if rule.Effect == StallRequest {
			<-r.Context().Done()
		}
		reset(w)
	case Wait:
		_ = sleep(r.Context(), rule.For) // the client may give up meanwhile
		next.ServeHTTP(w, r)
	default:
		f.breakAnswer(rule, next, w, r)
	}
}

// answer is the error that a rule gives.
func (r Rule) answer(w http.ResponseWriter, req *http.Request) {
	status, code := r.Status, r.Code
	if status == 0 {
		status = http.StatusServiceUnavailable
	}
	if code == "" {
		code = "SlowDown"
	}
	for name, values := range r.Header {
		w.Header()[name] = values
	}
	sendError(w, req, status, code, "injected fault")
	// A client that sends its body without waiting would else lose the answer with the
	// connection.
	_ = http.NewResponseController(w).Flush()
	_, _ = io.Copy(io.Discard, req.Body)
}

// sendError answers as S3 does.
func sendError(w http.ResponseWriter, r *http.Request, status int, code, message string) {
	body := fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>`+"\n<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
	if r.Method == http.MethodHead {
		body = ""
	}
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Header().Set("X-Amz-Request-Id", "0000000000000000")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // a client that is gone has got none
}

// reset resets the connection of a request.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // closes it, which is the next best
	}
	for c := conn; c != nil; {
		switch v := c.(type) {
		case *net.TCPConn:
			_ = v.SetLinger(0) // it is gone already
			c = nil
		case interface{ NetConn() net.Conn }: // TLS
			c = v.NetConn()
		default:
			c = nil
		}
	}
	_ = conn.Close()
}

// errStruck ends the writing of an answer that is broken.
var errStruck = errors.New("s3test: the rest of the answer is not sent")
