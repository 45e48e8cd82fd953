package naming_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hindsight/chain/naming"
	"hindsight/chain/treetest"
)

const (
	t0 naming.Time = 1700000000 // 20231114T221320Z, s44we8
	t1 naming.Time = 1700087868 // 20231115T223748Z
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name string
		want naming.Name
	}{
		{"duplicity-full.20231114T221320Z.vol1.difftar", naming.Name{End: t0, Volume: 1}},
		{"duplicity-full.20231114T221320Z.vol12.difftar.gz", naming.Name{End: t0, Volume: 12, Compressed: true}},
		{"duplicity-full.20231114T221320Z.vol1.difftar.gpg", naming.Name{End: t0, Volume: 1, Encrypted: true}},
		{"duplicity-full.20231114T221320Z.vol1.difftar.p7m", naming.Name{End: t0, Volume: 1, Encrypted: true, CMS: true}},
		{"duplicity-full.20231114T221320Z.vol1.difftar.part", naming.Name{End: t0, Volume: 1, Partial: true}},
		{"duplicity-full.20231114T221320Z.manifest", naming.Name{Kind: naming.Manifest, End: t0}},
		{"duplicity-full.20231114T221320Z.manifest.gz", naming.Name{Kind: naming.Manifest, End: t0, Compressed: true}},
		{"duplicity-full.20231114T221320Z.manifest.part", naming.Name{Kind: naming.Manifest, End: t0, Partial: true}},
		{"duplicity-full-signatures.20231114T221320Z.sigtar.part.gz", naming.Name{Kind: naming.Signatures, End: t0, Partial: true, Compressed: true}},
		{"duplicity-full.20231114T221320Z.jsonstat.gpg", naming.Name{Kind: naming.Statistics, End: t0, Encrypted: true}},
		{"duplicity-inc.20231114T221320Z.to.20231115T223748Z.vol3.difftar.gz", naming.Name{Inc: true, Start: t0, End: t1, Volume: 3, Compressed: true}},
		{"duplicity-inc.20231114T221320Z.to.20231115T223748Z.manifest", naming.Name{Kind: naming.Manifest, Inc: true, Start: t0, End: t1}},
		{"duplicity-new-signatures.20231114T221320Z.to.20231115T223748Z.sigtar.gpg", naming.Name{Kind: naming.Signatures, Inc: true, Start: t0, End: t1, Encrypted: true}},
		{"duplicity-inc.20231114T221320Z.to.20231115T223748Z.jsonstat.gz", naming.Name{Kind: naming.Statistics, Inc: true, Start: t0, End: t1, Compressed: true}},
		{"hindsight-toc.20231114T221320Z", naming.Name{Kind: naming.TOC, End: t0}},
		{"hindsight-toc.20231114T221320Z.gpg", naming.Name{Kind: naming.TOC, End: t0, Encrypted: true}},
		{"hindsight-toc.20231114T221320Z.to.20231115T223748Z.gz", naming.Name{Kind: naming.TOC, Inc: true, Start: t0, End: t1, Compressed: true}},

		// Tolerance (duplicity-format.md §1.5).
		{"duplicity-full.20231114t221320z.manifest", naming.Name{Kind: naming.Manifest, End: t0}},
		{"duplicity-full.20231114T221320Z.vol007.difftar", naming.Name{End: t0, Volume: 7}},
		{"duplicity-full.20231114T221320Z.vol1.difftar.anything.at all", naming.Name{End: t0, Volume: 1}},
		{"duplicity-full.20231114T221320Z.vol1.difftar.", naming.Name{End: t0, Volume: 1}},
		{"duplicity-full.20231114T221320Z.manifest.partial", naming.Name{Kind: naming.Manifest, End: t0}},
		{"duplicity-inc.20231114T221320Z.to.20231115T223748Z.vol1.difftar.part", naming.Name{Inc: true, Start: t0, End: t1, Volume: 1}},
		{"duplicity-full.20231114T221320Z.manifest.z", naming.Name{Kind: naming.Manifest, End: t0, Compressed: true}},
		{"duplicity-full.1700000000.manifest", naming.Name{Kind: naming.Manifest, End: t0}},
		{"duplicity-full.19691231T235959Z.manifest", naming.Name{Kind: naming.Manifest, End: -1}},

		// Old times (§1.2).
		{"duplicity-full.2023-11-15T03:43:20+05:30.manifest", naming.Name{Kind: naming.Manifest, End: t0}},
		{"duplicity-full.2023-11-14T17:13:20-05:00.manifest", naming.Name{Kind: naming.Manifest, End: t0}},
		{"duplicity-full.2023-11-14T22:13:20Z.manifest", naming.Name{Kind: naming.Manifest, End: t0}},

		// Short names (§1.3).
		{"df.s44we8.1.dt", naming.Name{End: t0, Volume: 1}},
		{"df.s44we8.zz.dt.z", naming.Name{End: t0, Volume: 35*36 + 35, Compressed: true}},
		{"df.s44we8.m.g", naming.Name{Kind: naming.Manifest, End: t0, Encrypted: true}},
		{"dfs.s44we8.st.p", naming.Name{Kind: naming.Signatures, End: t0, Partial: true}},
		{"df.s44we8.1.dt.p.g", naming.Name{End: t0, Volume: 1, Partial: true, Encrypted: true}},
		{"di.s44we8.s46r47.1.dt.z", naming.Name{Inc: true, Start: t0, End: 1700086471, Volume: 1, Compressed: true}},
		{"di.s44we8.s46r47.1.dt.p", naming.Name{Inc: true, Start: t0, End: 1700086471, Volume: 1}},
		{"di.s44we8.s46r47.m", naming.Name{Kind: naming.Manifest, Inc: true, Start: t0, End: 1700086471}},
		{"dns.s44we8.s46r47.st", naming.Name{Kind: naming.Signatures, Inc: true, Start: t0, End: 1700086471}},
	} {
		got, ok := naming.Scheme{}.Parse(tt.name)
		if !ok || got != tt.want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", tt.name, got, ok, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, name := range []string{
		"", "README", ".hidden", "lost+found.txt",
		"xduplicity-full.20231114T221320Z.manifest",
		"duplicity-full.manifest",
		"duplicity-full..manifest",
		"duplicity-full.notatime.vol1.difftar.gz",
		"duplicity-full-signatures.bogus.sigtar.gz",
		"duplicity-inc.20231114T221320Z.manifest",
		"duplicity-inc.20231114T221320Z.to..manifest",
		"duplicity-full.20231114T221320Z.manifests",
		"duplicity-full.20231114T221320Z.vol1.difftargz",
		"duplicity-full.20231114T221320Z.vol.difftar",
		"duplicity-full.20231114T221320Z.vol0.difftar",
		"duplicity-full.20231114T221320Z.vol-1.difftar",
		"duplicity-full.20231114T221320Z.vol4194305.difftar",
		"duplicity-full.20231114T221320Z.vol99999999999999999999999.difftar",
		"duplicity-full.19700101T000000Z.manifest", // 0 stands for no time in duplicity, too
		"duplicity-full.0.manifest",
		"duplicity-full.99999999999.manifest", // year 5138
		"duplicity-full.99999999999999999999999999.manifest",
		"duplicity-full.19000101T000000Z.manifest",
		"duplicity-full.21000101T000000Z.manifest",
		"duplicity-full.20231314T221320Z.manifest",
		"duplicity-full.20231114T221362Z.manifest",
		"duplicity-full.2023-11-14T22:13:20.manifest", // in whose zone?
		"duplicity-full.2023-11-14.manifest",
		"duplicity-full.3D.manifest",
		"duplicity-full.now.manifest",
		"hindsight-toc.gz", "hindsight-toc..gz", "hindsight-toc.20231114T221320Zgz", "hindsight-toc.now.gz",
		"df.S44WE8.m",
		"df..m", "df.0.m", "df.s44we8.0.dt", "df.s44we8.dt", "df.s44we8.m2", "df.zzzzzzzzzzzzzzzzzzzzzzzzz.m",
		"df.s44we8.zzzzzzzzzzzzzzzzzzzzzzzz.dt", "di.s44we8.m", "di.s44we8.1.dt", "di.s44we8",
	} {
		if n, ok := (naming.Scheme{}).Parse(name); ok {
			t.Errorf("%q was taken for %+v", name, n)
		}
	}
}

func TestScheme(t *testing.T) {
	s := naming.Scheme{Prefix: "all_", Archive: "a-", Manifest: "m-", Signature: "s-", Jsonstat: "j-"}
	names := map[naming.Kind]string{
		naming.Volume:     "all_a-duplicity-full.20231114T221320Z.vol1.difftar.gz",
		naming.Manifest:   "all_m-duplicity-full.20231114T221320Z.manifest",
		naming.Signatures: "all_s-duplicity-full-signatures.20231114T221320Z.sigtar.gz",
		naming.Statistics: "all_j-duplicity-full.20231114T221320Z.jsonstat.gz",
		naming.TOC:        "all_hindsight-toc.20231114T221320Z.gz",
	}
	for kind, name := range names {
		n, ok := s.Parse(name)
		if !ok || n.Kind != kind {
			t.Errorf("%s: got %+v, %v, want %s", name, n, ok, kind)
			continue
		}
		if got := s.Format(n); got != name {
			t.Errorf("Format: %s, want %s", got, name)
		}
		if !strings.HasPrefix(name, s.ListPrefix()) {
			t.Errorf("%s does not begin with %s", name, s.ListPrefix())
		}
		if n, ok := (naming.Scheme{}).Parse(name); ok {
			t.Errorf("%s without prefixes: %+v", name, n)
		}
		if n, ok := s.Parse(strings.TrimPrefix(name, "all_")); ok {
			t.Errorf("%s without its first prefix: %+v", name, n)
		}
	}
	if n, ok := s.Parse("all_s-duplicity-full.20231114T221320Z.manifest"); ok {
		t.Errorf("manifest with the prefix of signatures: %+v", n)
	}
	if _, ok := s.Parse("all_m-df.s44we8.m"); !ok {
		t.Error("a short name with prefixes was not recognised")
	}

	short := naming.Scheme{OnlyShort: true}
	if _, ok := short.Parse("df.s44we8.m"); !ok {
		t.Error("OnlyShort: short name not recognised")
	}
	if _, ok := short.Parse("duplicity-full.20231114T221320Z.manifest"); ok {
		t.Error("OnlyShort: long name recognised")
	}

	under := naming.Scheme{TimeSeparator: "_"}
	if n, ok := under.Parse("duplicity-full.2023-11-15T03_43_20+05_30.manifest"); !ok || n.End != t0 {
		t.Errorf("time separator: %+v, %v", n, ok)
	}
	if _, ok := under.Parse("duplicity-full.2023-11-15T03:43:20+05:30.manifest"); ok {
		t.Error("time separator: colons recognised")
	}
	dots := naming.Scheme{TimeSeparator: "."}
	if n, ok := dots.Parse("duplicity-inc.2023-11-15T03.43.20+05.30.to.2023-11-16T03.43.20+05.30.vol1.difftar"); !ok || n.Start != t0 || n.End != t0+86400 {
		t.Errorf("dots in times: %+v, %v", n, ok)
	}
}

// schemes are those of the fixtures that were not made with the default one.
var schemes = map[string]naming.Scheme{
	"prefixes":    {Prefix: "all_", Archive: "a-", Manifest: "m-", Signature: "s-"},
	"prefixes-v3": {Manifest: "meta.", Signature: "sig."},
}

// strays are the objects of the fixtures that duplicity does not see.
var strays = map[string]bool{
	"README": true, ".hidden": true, "lost+found.txt": true,
	"duplicity-full.manifest":                   true,
	"duplicity-full.notatime.vol1.difftar.gz":   true,
	"duplicity-full-signatures.bogus.sigtar.gz": true,
	"duplicity-inc.20231114T221320Z.manifest":   true,
	"xduplicity-full.20231114T221320Z.manifest": true,
}

// Every name that real duplicity made is recognised, and made again unless it is of
// an older fashion.
func TestParseFixtures(t *testing.T) {
	root := treetest.Fixtures(t)
	paths, err := filepath.Glob(filepath.Join(root, "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	seen, strange := 0, 0
	for _, path := range paths {
		folder := filepath.Base(filepath.Dir(path))
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || folder != "repo" && folder != "archive" {
			continue
		}
		name, fixture := filepath.Base(path), filepath.Base(filepath.Dir(filepath.Dir(path)))
		if name == "lockfile" {
			continue
		}
		s := schemes[fixture]
		n, ok := s.Parse(name)
		if strays[name] {
			strange++
			if ok {
				t.Errorf("%s: stray %s was taken for %+v", fixture, name, n)
			}
			continue
		}
		if !ok {
			t.Errorf("%s: %s is not recognised", fixture, name)
			continue
		}
		seen++
		if n.Partial != strings.HasSuffix(name, ".part") || n.Partial && folder == "repo" {
			t.Errorf("%s: partial %v for %s", fixture, n.Partial, name)
		}
		old := fixture == "old-filenames" || strings.HasPrefix(fixture, "short-filenames")
		if got := s.Format(n); !old && got != name {
			t.Errorf("%s: %s was made %s", fixture, name, got)
		}
	}
	if seen < 400 || strange != len(strays) {
		t.Errorf("%d names and %d strays, want at least 400 and %d", seen, strange, len(strays))
	}
}

// randomName returns a valid name.
func randomName(r *rand.Rand) naming.Name {
	instant := func() naming.Time { return naming.Time(1 + r.Int64N(4102444799)) }
	n := naming.Name{Kind: naming.Kind(r.IntN(int(naming.TOC) + 1)), Inc: r.IntN(2) == 0, End: instant()}
	if n.Inc {
		n.Start = instant()
	}
	if n.Kind == naming.Volume {
		n.Volume = 1 + r.IntN(1<<(1+r.IntN(22)))
	}
	n.Partial = r.IntN(3) == 0 && (n.Kind != naming.Volume || !n.Inc)
	switch r.IntN(4) {
	case 0:
		n.Compressed = true
	case 1:
		n.Encrypted = true
	case 2:
		n.Encrypted, n.CMS = true, true
	}
	return n
}

func TestParseFormat(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		n := randomName(r)
		s := naming.Scheme{Prefix: pick(r, "", "node7/", "duplicity-full.", "a."), Archive: pick(r, "", "x-", "df."), Manifest: pick(r, "", "m")}
		name := s.Format(n)
		if got, ok := s.Parse(name); !ok || got != n {
			t.Fatalf("%s\n got %+v, %v\nwant %+v", name, got, ok, n)
		}
	}
}

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

func TestFormatPanics(t *testing.T) {
	for reason, n := range map[string]naming.Name{
		"kind":              {Kind: naming.TOC + 1, End: t0},
		"no time":           {Kind: naming.Manifest},
		"late":              {Kind: naming.Manifest, End: 4102444800},
		"no start":          {Kind: naming.Manifest, Inc: true, End: t0},
		"start of a full":   {Kind: naming.Manifest, Start: t0, End: t1},
		"volume 0":          {End: t0},
		"volume":            {End: t0, Volume: naming.MaxVolume + 1},
		"numbered manifest": {Kind: naming.Manifest, End: t0, Volume: 1},
		"partial volume":    {Inc: true, Start: t0, End: t1, Volume: 1, Partial: true},
		"two suffixes":      {Kind: naming.Manifest, End: t0, Compressed: true, Encrypted: true},
		"plain CMS":         {Kind: naming.Manifest, End: t0, CMS: true},
	} {
		if n.Validate() == nil {
			t.Errorf("%s: %+v is valid", reason, n)
		}
		func() {
			defer func() {
				if text, ok := recover().(string); !ok || !strings.HasPrefix(text, "naming: ") {
					t.Errorf("%s: Format did not panic as it should", reason)
				}
			}()
			naming.Scheme{}.Format(n)
		}()
	}
}

// FuzzParse compares the parser with the patterns of duplicity-format.md, and
// requires that what it gives is valid and comes back from its long name.
func FuzzParse(f *testing.F) {
	all := []naming.Scheme{{}, {Prefix: "p", Archive: "df.", Manifest: "df.", Signature: "duplicity-full."}, {OnlyShort: true}, {TimeSeparator: "."}}
	oracles := make([]*oracle, len(all))
	for i, s := range all {
		oracles[i] = newOracle(s)
	}
	for _, name := range fuzzSeeds() {
		for i := range all {
			f.Add(uint8(i), name)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, name string) {
		o := oracles[int(which)%len(oracles)]
		n, ok := o.scheme.Parse(name)
		if want, wantOK := o.parse(name); ok != wantOK || n != want {
			t.Fatalf("%q:\n got %+v, %v\nwant %+v, %v", name, n, ok, want, wantOK)
		}
		if !ok {
			return
		}
		if err := n.Validate(); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if o.scheme.OnlyShort {
			return
		}
		if again, ok := o.scheme.Parse(o.scheme.Format(n)); !ok || again != n {
			t.Fatalf("%q as %q: %+v, %v", name, o.scheme.Format(n), again, ok)
		}
	})
}

// fuzzSeeds are names of all fashions and near misses; real repositories have no others.
func fuzzSeeds() []string {
	return []string{
		"duplicity-full.20231114T221320Z.vol1.difftar.gz",
		"duplicity-full.20231114T221320Z.vol1x.vol2.difftar.part.gpg",
		"duplicity-full.20231114T221320Z.manifest.part",
		"duplicity-full.20231114T221320Z.vol1.difftar.manifest",
		"duplicity-full-signatures.20231114T221320Z.sigtar.p7m",
		"duplicity-full.20231114T221320Z.jsonstat.gz",
		"duplicity-inc.20231114T221320Z.to.20231115T223748Z.vol3.difftar.gz",
		"duplicity-inc.20231114T221320Z.to.20231115T223748Z.manifest.gpg",
		"duplicity-new-signatures.20231114T221320Z.to.20231115T223748Z.sigtar.gz",
		"duplicity-inc.20231114T221320Z.to.20231115T223748Z.jsonstat",
		"duplicity-full.2023-11-15T03:43:20+05:30.manifest",
		"duplicity-full.2023-11-15T03.43.20-05.30.manifest",
		"duplicity-full.1700000000.manifest",
		"df.s44we8.1.dt.z", "df.s44we8.m.g", "dfs.s44we8.st", "di.s44we8.s46r47.1.dt.p", "di.s44we8.s46r47.m.p", "dns.s44we8.s46r47.st.z",
		"pdf.df.s44we8.1.dt", "pdf.duplicity-full.20231114T221320Z.manifest", "pduplicity-full.dfs.s44we8.st",
		"README", "duplicity-full.3D.manifest",
	}
}

func BenchmarkParse(b *testing.B) {
	for _, bm := range []struct{ kind, name string }{
		{"volume", "duplicity-inc.20231114T221320Z.to.20231115T223748Z.vol312.difftar.gpg"},
		{"signatures", "duplicity-new-signatures.20231114T221320Z.to.20231115T223748Z.sigtar.gz"},
		{"stray", "customers/0001/some-other-object.bin"},
	} {
		b.Run(bm.kind, func(b *testing.B) {
			b.SetBytes(int64(len(bm.name)))
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := (naming.Scheme{}).Parse(bm.name); ok == (bm.kind == "stray") {
					b.Fatal(ok)
				}
			}
		})
	}
}
