// Package s3test stands in for S3 in tests and benchmarks: Fake is a server in this
// process, Gateway a real one (versitygw) in a process of its own. Both can be had
// behind a Front, which records every request and breaks them by rule, and behind a
// Shape, which makes the loopback interface a network with a delay and a rate.
//
// Everything listens on free loopback ports. Keys and secrets are made up.
package s3test
