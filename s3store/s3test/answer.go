package s3test

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// copyN reads n bytes of body, or what there is, and drops them.
func copyN(body io.Reader, n int64) (int64, error) { return io.CopyN(io.Discard, body, n) }

// nowhere is where the answer goes that nobody gets.
type nowhere struct{ header http.Header }

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) WriteHeader(int)             {}
func (w *nowhere) Write(p []byte) (int, error) { return len(p), nil }

// breakAnswer carries a request out and breaks its answer.
func (f *Faults) breakAnswer(rule Rule, next http.Handler, w http.ResponseWriter, r *http.Request) {
	out := &broken{ResponseWriter: w, faults: f, rule: rule, r: r}
	if rule.Effect == Slow {
		r.Body = &slowBody{ReadCloser: r.Body, r: r, rate: rule.At}
	}
	defer func() {
		// What stands behind may panic over the error of a Write, as a proxy does.
		if p := recover(); p != nil && (p != http.ErrAbortHandler || !out.struck) {
			panic(p)
		}
		out.finish()
	}()
	next.ServeHTTP(out, r)
}

// broken is an answer that a rule breaks.
type broken struct {
	http.ResponseWriter
	faults *Faults
	rule   Rule
	r      *http.Request
	begun  bool
	at     int64 // where in the body the rule strikes
	sent   int64
	struck bool // nothing more is sent
}

func (w *broken) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *broken) WriteHeader(status int) {
	if status < 200 || w.begun {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.begun = true
	length, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	w.at = w.faults.place(w.rule.At, length)
	switch {
	case w.at == 0 && (w.rule.Effect == ResetResponse || w.rule.Effect == StallResponse):
		w.struck = true
		return
	case w.rule.Effect == WrongETag && w.Header().Get("ETag") != "":
		w.Header().Set("ETag", `"00000000000000000000000000000000"`)
	case w.rule.Effect == Short && length > w.at:
		w.Header().Set("Content-Length", strconv.FormatInt(w.at, 10))
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *broken) Write(p []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	if w.struck {
		return 0, errStruck
	}
	before := w.sent
	switch w.rule.Effect {
	case Flip:
		if i := w.at - before; i >= 0 && i < int64(len(p)) {
			p = append([]byte(nil), p...)
			p[i] ^= 1
		}
	case Slow:
		return w.slowly(p)
	case ResetResponse, Truncate, Short, StallResponse:
		if before+int64(len(p)) > w.at {
			n, err := w.ResponseWriter.Write(p[:max(0, w.at-before)])
			w.sent += int64(n)
			w.struck = true
			if err == nil {
				err = errStruck
			}
			return n, err
		}
	}
	n, err := w.ResponseWriter.Write(p)
	w.sent += int64(n)
	return n, err
}

// slowly writes in small pieces, each after its time.
func (w *broken) slowly(p []byte) (n int, err error) {
	for piece := range pieces(p, w.rule.At) {
		if err := sleep(w.r.Context(), takes(len(piece), w.rule.At)); err != nil {
			return n, err
		}
		m, err := w.ResponseWriter.Write(piece)
		n += m
		if err != nil {
			return n, err
		}
		_ = http.NewResponseController(w.ResponseWriter).Flush() // the next Write tells
	}
	return n, nil
}

// finish does to the connection what the rule wants when the answer has been struck.
func (w *broken) finish() {
	if !w.struck {
		return
	}
	if w.sent > 0 {
		_ = http.NewResponseController(w.ResponseWriter).Flush() // the client may be gone
	}
	switch w.rule.Effect {
	case StallResponse:
		<-w.r.Context().Done()
		panic(http.ErrAbortHandler)
	case ResetResponse:
		reset(w.ResponseWriter)
	case Truncate:
		panic(http.ErrAbortHandler)
	}
}

// slowBody is the body of a request that comes at a rate of bytes per second.
type slowBody struct {
	io.ReadCloser
	r    *http.Request
	rate int64
}

func (b *slowBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), max(1, b.rate/20))])
	if werr := sleep(b.r.Context(), takes(n, b.rate)); werr != nil {
		return n, werr
	}
	return n, err
}

// takes is how long n bytes take.
func takes(n int, rate int64) time.Duration {
	return time.Duration(float64(n) / float64(max(rate, 1)) * float64(time.Second))
}

// pieces cuts p into what passes in a twentieth of a second.
func pieces(p []byte, rate int64) func(yield func([]byte) bool) {
	size := int(max(1, rate/20))
	return func(yield func([]byte) bool) {
		for len(p) > 0 {
			n := min(size, len(p))
			if !yield(p[:n]) {
				return
			}
			p = p[n:]
		}
	}
}
