package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"hindsight/chain/treetest"
)

// allowed says which packages of this module a package may import. What is missing
// here must be added, with thought: it is the architecture.
var allowed = map[string]string{
	"chain/store":         "",
	"chain/naming":        "",
	"chain/manifest":      "",
	"chain/difftar":       "",
	"chain/librsync":      "",
	"chain/selection":     "",
	"chain/inflate":       "",
	"chain/codec/deflate": "",
	"chain/pgp":           "chain/inflate chain/pgp/ciphers",
	"chain/extent":        "chain/librsync",
	"chain/dirstore":      "chain/store",
	"s3store":             "chain/store",
	"chain/source":        "chain/difftar chain/selection",
	"chain/codec":         "chain/codec/deflate chain/inflate chain/pgp",
	"chain/toc":           "chain/extent chain/codec chain/difftar chain/librsync chain/naming chain/pgp",
	"chain": "chain/store chain/naming chain/manifest chain/difftar chain/librsync chain/codec chain/pgp " +
		"chain/extent chain/toc",
	"chain/backup":  modelAndBelow,
	"chain/extract": modelAndBelow,
	"chain/synth":   modelAndBelow,
	"index":         "chain chain/store chain/naming chain/manifest chain/difftar chain/librsync chain/codec chain/extent chain/pgp chain/toc",
	"index/content": "index chain chain/store chain/difftar chain/codec chain/extent",
	"fusefs":        "index index/content chain/naming chain/difftar chain/extent",

	"chain/store/storetest": "chain/store",
	"chain/treetest":        "chain/difftar",
	"chain/chaintest": "chain chain/backup chain/codec chain/dirstore chain/naming chain/pgp chain/source chain/store " +
		"chain/treetest",
	"s3store/s3test": "",
}

const modelAndBelow = "chain chain/store chain/naming chain/manifest chain/difftar chain/librsync chain/selection " +
	"chain/source chain/extent chain/codec chain/pgp chain/toc"

// testSupport is imported by tests alone, and by cmd/bench.
var testSupport = []string{"chain/chaintest", "chain/store/storetest", "chain/treetest", "s3store/s3test"}

// TestImports asserts the layers of the module: who imports whom, tests aside.
func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...")
	cmd.Dir = treetest.ModuleRoot(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg := strings.TrimPrefix(fields[0], "hindsight/")
		for _, path := range fields[1:] {
			if imp, ours := strings.CutPrefix(path, "hindsight/"); ours {
				checkImport(t, pkg, imp)
			}
		}
	}
}

func checkImport(t *testing.T, pkg, imp string) {
	t.Helper()
	command := strings.HasPrefix(pkg, "cmd/")
	support := slices.Contains(testSupport, imp)
	switch may, known := allowed[pkg]; {
	case support && pkg != "cmd/bench" && !slices.Contains(testSupport, pkg):
		t.Errorf("%s imports %s, which is for tests", pkg, imp)
	case support, command && !strings.HasPrefix(imp, "cmd/"):
	case !known:
		t.Errorf("%s imports %s, and nothing says which packages it may import", pkg, imp)
	case !slices.Contains(strings.Fields(may), imp):
		t.Errorf("%s may not import %s", pkg, imp)
	}
}
