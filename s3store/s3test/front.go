package s3test

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
)

// Front is an HTTP server that records what it is asked, breaks it by rule and hands
// it on.
type Front struct {
	URL string // http://127.0.0.1:PORT, or https
	*Recorder
	*Faults

	server *httptest.Server
}

// NewFront puts a Front before the server at url, until the test ends. The host's
// name goes through unchanged, as signatures cover it.
func NewFront(t testing.TB, target string) *Front {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	// Connections of its own, which end with the test.
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return serve(t, &httputil.ReverseProxy{
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(to)
			pr.Out.Host = pr.In.Host
		},
		Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
	}, false)
}

// serve starts the server.
func serve(t testing.TB, h http.Handler, tls bool) *Front {
	t.Helper()
	f := &Front{Recorder: new(Recorder), Faults: newFaults(t)}
	f.server = httptest.NewUnstartedServer(f.Recorder.wrap(f.Faults.wrap(h)))
	// What stalls ends with the server, which else would wait for it.
	ctx, cancel := context.WithCancel(context.Background())
	f.server.Config.BaseContext = func(net.Listener) context.Context { return ctx }
	f.server.Config.ErrorLog = log.New(io.Discard, "", 0) // broken connections are what it is for
	if tls {
		f.server.StartTLS()
	} else {
		f.server.Start()
	}
	f.URL = f.server.URL
	t.Cleanup(func() {
		cancel()
		f.server.CloseClientConnections()
		f.server.Close()
	})
	return f
}

// Addr is where the server listens, as host:port.
func (f *Front) Addr() string { return f.server.Listener.Addr().String() }

// CAFile writes the certificate that a client must trust into a file and returns its
// path. It serves a Front that speaks TLS.
func (f *Front) CAFile(t testing.TB) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: f.server.Certificate().Raw}
	if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
