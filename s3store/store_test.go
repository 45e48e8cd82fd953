package s3store_test

import (
	"testing"

	"hindsight/chain/store"
	"hindsight/chain/store/storetest"
	"hindsight/s3store/s3test"
)

func TestConformanceFake(t *testing.T) {
	fake := s3test.NewFake(t, s3test.Options{Buckets: []string{bucket}})
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, config(t, fake.URL, "nodes/"+place()))
	})
	if n := fake.Uploads(); n > 0 {
		t.Errorf("%d unfinished uploads are left", n)
	}
}

func TestConformanceGateway(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute under the race detector")
	}
	gateway := s3test.NewGateway(t, bucket)
	storetest.Run(t, func(t *testing.T) store.Store {
		return open(t, config(t, gateway.URL, "nodes/"+place()))
	})
}
