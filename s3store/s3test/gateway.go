package s3test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hindsight/chain/treetest"
)

// Account is who sends a request. Secret is a test's, made up and no secret at all.
type Account struct{ Access, Secret string }

// Root may do everything on a Gateway, and on a Fake, which asks nobody.
var Root = Account{"root", "rootsecret"}

// Region is that of every server here.
const Region = "us-east-1"

// Gateway is a running versitygw, a real S3 server that keeps each object as a file:
// signatures, policies and conditional puts are checked as AWS checks them.
type Gateway struct {
	URL string // http://127.0.0.1:PORT
	Dir string // of data; the objects of a bucket lie below Dir/bucket

	addr    string
	program string
	process *process
}

// GatewayProgram is the path of versitygw: in PATH, or where go install puts it. The
// error says how to get it.
func GatewayProgram() (string, error) {
	if path, err := exec.LookPath("versitygw"); err == nil {
		return path, nil
	}
	out, err := exec.Command("go", "env", "GOBIN", "GOPATH").Output()
	if err == nil {
		bin, gopath, _ := strings.Cut(strings.TrimSuffix(string(out), "\n"), "\n")
		if bin == "" {
			bin = filepath.Join(filepath.SplitList(gopath)[0], "bin")
		}
		if path, err := exec.LookPath(filepath.Join(bin, "versitygw")); err == nil {
			return path, nil
		}
	}
	return "", errors.New("versitygw is not installed (make deps does it)")
}

// NewGateway starts versitygw with empty folders of its own until the test ends, and
// makes the buckets. It skips the test where versitygw is not installed.
func NewGateway(t testing.TB, buckets ...string) *Gateway {
	t.Helper()
	if _, err := GatewayProgram(); err != nil {
		treetest.Missing(t, err.Error())
	}
	log := &lineLog{t: t}
	g, err := StartGateway(t.Context(), t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, bucket := range buckets {
		if err := g.CreateBucket(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// StartGateway starts versitygw with its data and accounts below dir, which must be
// empty, and returns when it answers. What it says goes to log. It must be stopped.
func StartGateway(ctx context.Context, dir string, log io.Writer) (*Gateway, error) {
	program, err := GatewayProgram()
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir) // it changes the directory first
	if err != nil {
		return nil, err
	}
	g := &Gateway{Dir: filepath.Join(dir, "data"), program: program}
	iam := filepath.Join(dir, "iam")
	for _, d := range []string{g.Dir, iam} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return nil, err
		}
	}
	// Another program may take the port between its choice and its use.
	for range 5 {
		if g.addr, err = freePort(); err != nil {
			return nil, err
		}
		g.URL = "http://" + g.addr
		args := []string{"--port", g.addr, "--region", Region, "--iam-dir", iam, "--keep-alive", "--quiet", "posix", g.Dir}
		env := append(os.Environ(), "ROOT_ACCESS_KEY="+Root.Access, "ROOT_SECRET_KEY="+Root.Secret)
		if g.process, err = startProcess(program, args, env, dir, log); err != nil {
			return nil, err
		}
		if err = g.ready(ctx); err == nil {
			return g, nil
		}
		err = errors.Join(err, g.process.stop())
	}
	return nil, err
}

// freePort is a loopback address that nobody listens on.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// ready waits until the server answers.
func (g *Gateway) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL, nil)
		if err != nil {
			return err
		}
		if resp, err := transport.RoundTrip(req); err == nil {
			return resp.Body.Close()
		}
		select {
		case <-g.process.done:
			return fmt.Errorf("versitygw ended at once: %w", g.process.err)
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("versitygw does not answer: %w", ctx.Err())
		}
	}
}

// Addr is where it listens, as host:port.
func (g *Gateway) Addr() string { return g.addr }

// Stop ends the server. Its data stays.
func (g *Gateway) Stop() error { return g.process.stop() }

// CreateUser makes an account that may do nothing until a bucket's policy lets it.
func (g *Gateway) CreateUser(ctx context.Context, a Account) error {
	cmd := exec.CommandContext(ctx, g.program, "admin", "-a", Root.Access, "-s", Root.Secret, "--er", g.URL,
		"create-user", "-a", a.Access, "-s", a.Secret, "-r", "user")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("create user %s: %w: %s", a.Access, err, out)
	}
	return nil
}

// CreateBucket makes an empty bucket that belongs to Root.
func (g *Gateway) CreateBucket(ctx context.Context, bucket string) error {
	_, err := g.Do(ctx, Root, http.MethodPut, "/"+bucket, nil)
	return err
}

// PutPolicy makes a JSON document the policy of a bucket.
func (g *Gateway) PutPolicy(ctx context.Context, bucket, policy string) error {
	_, err := g.Do(ctx, Root, http.MethodPut, "/"+bucket+"?policy", []byte(policy))
	return err
}

// Do sends a request that a signs to an escaped path with a query, and returns the
// answer's body. An answer that is not of the 200s is an error with its body.
func (g *Gateway) Do(ctx context.Context, a Account, method, path string, body []byte) ([]byte, error) {
	return Do(ctx, g.URL, a, method, path, body)
}

// lineLog writes the lines that a program says to a test's log.
type lineLog struct {
	t    testing.TB
	mu   sync.Mutex
	rest []byte
}

func (l *lineLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return len(p), nil
		}
		l.t.Logf("versitygw: %s", line)
		l.rest = rest
	}
}
