package treetest_test

import (
	"testing"
	"time"

	"hindsight/chain/treetest"
)

func TestSoakTime(t *testing.T) {
	t.Setenv(treetest.SoakEnv, "")
	if got := treetest.SoakTime(t, time.Second); got != time.Second {
		t.Errorf("%v, want the usual second", got)
	}
	t.Setenv(treetest.SoakEnv, "1h30m")
	if got := treetest.SoakTime(t, time.Second); got != 90*time.Minute {
		t.Errorf("%v, want 1h30m", got)
	}
}
