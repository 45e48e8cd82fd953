package main

import (
	"math"
	"strconv"
	"testing"
)

func TestSize(t *testing.T) {
	for arg, want := range map[string]int64{
		"0": 0, "1024": 1024, "5K": 5 << 10, "256M": 256 << 20, "256MB": 256 << 20, "256mib": 256 << 20, "1g": 1 << 30, "2T": 2 << 40,
		"8388607T": 8388607 << 40, strconv.Itoa(math.MaxInt64): math.MaxInt64,
	} {
		var s size
		if err := s.Set(arg); err != nil || int64(s) != want {
			t.Errorf("size %q is %d, %v; want %d", arg, s, err, want)
		}
	}
	for _, arg := range []string{"", "M", "-1M", "1.5G", "5X", "8388608T", "9223372036854775808", "1 M"} {
		var s size
		if err := s.Set(arg); err == nil {
			t.Errorf("size %q is accepted as %d", arg, s)
		}
	}
}

func TestVerbosity(t *testing.T) {
	for arg, want := range map[string]verbosity{"0": 0, "9": 9, "n": levelNotice, "Info": levelInfo, "debug": levelDebug, "w": levelWarning} {
		var v verbosity
		if err := v.Set(arg); err != nil || v != want {
			t.Errorf("verbosity %q is %d, %v; want %d", arg, v, err, want)
		}
	}
	for _, arg := range []string{"", "10", "-1", "loud"} {
		var v verbosity
		if err := v.Set(arg); err == nil {
			t.Errorf("verbosity %q is accepted", arg)
		}
	}
}
