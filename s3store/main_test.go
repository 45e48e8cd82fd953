package s3store_test

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hindsight/s3store"
	"hindsight/s3store/s3test"
)

// TestMain gives the tests credentials, and none of the machine's own.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": s3test.Root.Access, "AWS_SECRET_ACCESS_KEY": s3test.Root.Secret, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_S3": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "", "AWS_CA_BUNDLE": "",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m)
}

const bucket = "bucket"

// config is that of a server's bucket, with short pauses.
func config(url, prefix string) s3store.Config {
	return s3store.Config{
		Bucket: bucket, Prefix: prefix, Endpoint: url, Region: s3test.Region,
		Backoff: time.Millisecond, Timeout: time.Minute, // nothing stalls but on purpose
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
