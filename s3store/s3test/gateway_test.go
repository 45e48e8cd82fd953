package s3test_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/s3store/s3test"
)

// TestGateway makes sure that the server checks who asks, and shows its data.
func TestGateway(t *testing.T) {
	g := s3test.NewGateway(t, "bucket")
	ctx := t.Context()
	alice := s3test.Account{Access: "alice", Secret: "alicesecret12"}
	if err := g.CreateUser(ctx, alice); err != nil {
		t.Fatal(err)
	}
	err := g.PutPolicy(ctx, "bucket", `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ["alice"]},
		"Action": ["s3:GetObject", "s3:PutObject"], "Resource": ["arn:aws:s3:::bucket/alice/*"]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	front := s3test.NewFront(t, g.URL)
	if _, err := s3test.Do(ctx, front.URL, alice, http.MethodPut, "/bucket/alice/object", []byte("hello")); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(filepath.Join(g.Dir, "bucket", "alice", "object"))
	if err != nil || string(data) != "hello" {
		t.Errorf("the object's file holds %q, %v", data, err)
	}
	front.StaysBelow(t, "bucket", "alice/")
	for what, a := range map[string]s3test.Account{"/bucket/bob/object": alice, "/bucket/alice/object": {Access: "alice", Secret: "guessed"}} {
		_, err := s3test.Do(ctx, front.URL, a, http.MethodPut, what, []byte("x"))
		if err == nil || !strings.Contains(err.Error(), "403") {
			t.Errorf("put %s as %s: %v, want a refusal", what, a, err)
		}
	}
}
