package treetest

import "testing"

// Short says whether the test runs under the race detector with -short. There it should
// do what shows goroutines beside each other, and that once: the detector makes loops over
// bytes many times as slow, and the plain run shows all else.
func Short() bool { return raceDetector && testing.Short() }

// Sequential skips a test in which no two goroutines share anything where it would show
// nothing: see Short.
func Sequential(t testing.TB) {
	t.Helper()
	if Short() {
		t.Skip("nothing in it for the race detector")
	}
}
