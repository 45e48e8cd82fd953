package manifest_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"hindsight/chain/manifest"
)

// bigManifest has so many volumes and changes, with paths of usual length.
func bigManifest(b *testing.B, volumes, changes int) (string, *manifest.Manifest, []manifest.Change) {
	b.Helper()
	m := &manifest.Manifest{Hostname: "host", LocalDir: "/srv/data", Listed: changes, Changes: changes}
	path := func(i int) string { return fmt.Sprintf("customers/%04d/htdocs/images/%08d.jpg", i%1000, i) }
	for i := range volumes {
		m.Volumes = append(m.Volumes, manifest.Volume{
			Number: i + 1,
			Start:  manifest.Position{Path: path(i)},
			End:    manifest.Position{Path: path(i + 1), Block: i % 3},
			Hashes: []manifest.Hash{{Algorithm: "SHA1", Hex: sha1A}},
		})
	}
	list := make([]manifest.Change, changes)
	for i := range list {
		list[i] = manifest.Change{Word: manifest.New, Path: path(i)}
	}
	text, err := write(m, list)
	if err != nil {
		b.Fatal(err)
	}
	return text, m, list
}

func BenchmarkRead(b *testing.B) {
	for _, bm := range []struct {
		name             string
		volumes, changes int
		callback         func(manifest.Change) error
	}{
		{"volumes=10k", 10_000, 0, nil},
		{"changes=100k/skipped", 1, 100_000, nil},
		{"changes=100k/given", 1, 100_000, func(manifest.Change) error { return nil }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			text, _, _ := bigManifest(b, bm.volumes, bm.changes)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := manifest.Read(strings.NewReader(text), 0, bm.callback); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	text, m, list := bigManifest(b, 10_000, 100_000)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		w := manifest.NewWriter(io.Discard, m.Hostname, m.LocalDir)
		for _, v := range m.Volumes {
			if err := w.Volume(v); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Filelist(len(list), seq(list)); err != nil {
			b.Fatal(err)
		}
	}
}
