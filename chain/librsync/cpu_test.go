package librsync_test

import (
	"syscall"
	"testing"
)

// reportCPU starts a measurement; what it returns adds MB per second of processor
// time to the benchmark. Unlike those per second of wall time they can be compared
// when the machine is busy.
func reportCPU(b *testing.B, bytes int) func() {
	start := cpuSeconds(b)
	return func() {
		if used := cpuSeconds(b) - start; used > 0 {
			b.ReportMetric(float64(bytes)*float64(b.N)/1e6/used, "MB/cpu-s")
		}
	}
}

func cpuSeconds(b *testing.B) float64 {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return float64(use.Utime.Nano()+use.Stime.Nano()) / 1e9
}
