package s3store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hindsight/s3store"
	"hindsight/s3store/s3test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bucket = "bucket"

// config is that of a server's bucket, with short pauses.
func config(t testing.TB, url, prefix string) s3store.Config {
	t.Setenv("AWS_ACCESS_KEY_ID", s3test.Root.Access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", s3test.Root.Secret)
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return s3store.Config{
		Bucket: bucket, Prefix: prefix, Endpoint: url, Region: s3test.Region,
		Backoff: time.Millisecond, Timeout: 10 * time.Second,
	}
}

func open(t testing.TB, c s3store.Config) *s3store.Store {
	t.Helper()
	s, err := s3store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var places atomic.Int64

// place is a prefix that no other test uses.
func place() string { return fmt.Sprintf("place.%d", places.Add(1)) }
