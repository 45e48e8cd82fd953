package treetest

import (
	"os"
	"testing"
	"time"
)

// SoakEnv is the environment variable that tells tests of endless kinds (model,
// random kills) how long to run, as time.ParseDuration reads it.
const SoakEnv = "HINDSIGHT_SOAK"

// SoakTime is how long such a test should go on: what SoakEnv says, else usual.
func SoakTime(t testing.TB, usual time.Duration) time.Duration {
	t.Helper()
	value := os.Getenv(SoakEnv)
	if value == "" {
		return usual
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		t.Fatalf("%s: %v", SoakEnv, err)
	}
	return d
}
