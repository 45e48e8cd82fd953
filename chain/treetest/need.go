// Package treetest helps tests that need real trees and real tools: it skips or
// fails where a tool is missing, finds the golden repositories, writes trees,
// records them and compares the records.
package treetest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// RequireEnv is the environment variable that, set to 1, turns a skip for a
// missing tool or privilege into a failure.
const RequireEnv = "HINDSIGHT_TEST_REQUIRE"

// NeedTool skips the test if the program name is not installed, and returns its
// path if it is.
func NeedTool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name+" is not installed")
	}
	return path
}

// NeedRoot skips the test unless it runs as root.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Missing(t, "not run as root")
	}
}

// Missing skips the test with the reason, or fails it where RequireEnv says that
// everything must run.
func Missing(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(RequireEnv) == "1" {
		t.Fatalf("%s=1: %s", RequireEnv, reason)
	}
	t.Skip(reason)
}

// ModuleRoot is the folder of go.mod above the test's working directory.
func ModuleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the working directory")
		}
		dir = parent
	}
}

// Fixtures is the folder of golden repositories written by real duplicity. It lies
// beside the checkout, not in it: the test is skipped where it is absent.
func Fixtures(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(ModuleRoot(t), "..", "shared", "fixtures")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no golden repositories beside the checkout")
	}
	return dir
}
