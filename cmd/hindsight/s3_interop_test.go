package main

import (
	"path/filepath"
	"testing"

	"hindsight/chain/treetest"
	"hindsight/s3store/s3test"
)

// TestS3Interop lets duplicity, through boto3, and hindsight extend one chain on a
// real server in turn. Each restores every state.
func TestS3Interop(t *testing.T) {
	t.Parallel() // it mostly waits for other processes
	if testing.Short() {
		t.Skip("runs duplicity half a dozen times")
	}
	treetest.NeedRoot(t)
	gateway := s3test.NewGateway(t, s3Bucket)
	node := newS3Node(t, gateway.URL, s3test.Root, "some/node")
	dup := treetest.Duplicity(t)
	dup.Env = awsEnviron(nil, s3test.Root)
	dup.Options = append(dup.Options, "--s3-endpoint-url", gateway.URL)
	theirURL := "boto3+" + node.url
	rng := treetest.Rand(t, 11)
	treetest.Random(t, node.src, rng, treetest.RandomOptions{Special: true})
	states := map[int64]treetest.Tree{}
	for i := range int64(4) {
		at := int64(1_800_000_000) + i*86400
		if i > 0 {
			treetest.Mutate(t, node.src, rng, at-100, 12, treetest.RandomOptions{})
		}
		states[at] = treetest.Record(t, node.src)
		switch {
		case i == 0:
			dup.Run(t, "full", "--current-time", epochText(at), node.src, theirURL).OK(t)
		case i%2 == 0:
			dup.Run(t, "incremental", "--current-time", epochText(at), "--allow-source-mismatch", node.src, theirURL).OK(t)
		default:
			node.backup(t, "incremental", at, "--allow-source-mismatch")
		}
	}
	for at, want := range states {
		node.restores(t, want, "--time", epochText(at))
		theirs := filepath.Join(t.TempDir(), "theirs")
		dup.Run(t, "restore", "--time", epochText(at), theirURL, theirs).OK(t)
		treetest.Equal(t, treetest.Record(t, theirs), want, treetest.AsDuplicity())
	}
	// The other way: a chain that hindsight has begun.
	node.url, theirURL = node.url+"2", theirURL+"2"
	at := int64(1_800_500_000)
	node.backup(t, "full", at)
	treetest.Mutate(t, node.src, rng, at+100, 12, treetest.RandomOptions{})
	dup.Run(t, "incremental", "--current-time", epochText(at+1000), "--allow-source-mismatch", node.src, theirURL).OK(t)
	node.restores(t, treetest.Record(t, node.src))
}
