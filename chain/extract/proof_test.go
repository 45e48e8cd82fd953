package extract_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"hindsight/chain"
	"hindsight/chain/backup"
	"hindsight/chain/chaintest"
	"hindsight/chain/extract"
	"hindsight/chain/treetest"
)

// TestSparseDamage restores one file out of blocks of which a byte was changed: it is
// exact, where the byte lies behind it, or an error names the volume, and the file is not
// there.
func TestSparseDamage(t *testing.T) {
	treetest.Sequential(t)
	for _, passphrase := range []string{"", "secret"} {
		t.Run("passphrase="+passphrase, func(t *testing.T) {
			r := chaintest.New(t)
			if passphrase != "" {
				r.Encrypt(passphrase)
			}
			rng := treetest.Rand(t, 41)
			content := make(map[string]string)
			for n := range 120 {
				p := fmt.Sprintf("f%03d", n)
				content[p] = string(treetest.Content(rng, 9000))
				treetest.Write(t, r.Source, treetest.File(p, content[p]))
			}
			r.Backup(treetest.BaseTime, backup.Full)
			set := r.Load().Latest().Sets[0]
			volume := filepath.Join(r.Dir, set.Volumes[0].Key)
			stored, err := os.ReadFile(volume)
			if err != nil {
				t.Fatal(err)
			}
			exact, refused := 0, 0
			for range 60 {
				damaged := append([]byte(nil), stored...)
				damaged[rng.IntN(len(stored))] ^= 1 << rng.IntN(8)
				if err := os.WriteFile(volume, damaged, 0o600); err != nil {
					t.Fatal(err)
				}
				p := fmt.Sprintf("f%03d", rng.IntN(120))
				target := filepath.Join(t.TempDir(), "target")
				disk, err := extract.NewDisk(target, extract.DiskOptions{NumericOwner: true})
				if err != nil {
					t.Fatal(err)
				}
				res, err := extract.Run(t.Context(), extract.Options{
					Repository: &r.Repository, Sets: []*chain.Set{set}, Filter: within(p), Sink: disk,
				})
				disk.Close()
				data, rerr := os.ReadFile(filepath.Join(target, p))
				corrupt := (*chain.CorruptError)(nil)
				switch {
				case err == nil && res.Lost == 0 && rerr == nil && string(data) == content[p]:
					exact++
				case errors.As(err, &corrupt) && corrupt.Object == set.Volumes[0].Key && errors.Is(rerr, os.ErrNotExist):
					refused++
				default:
					t.Errorf("%s: %+v, error %v; reading it: %d bytes, %v", p, res, err, len(data), rerr)
				}
			}
			t.Logf("%d exact, %d refused", exact, refused)
			if exact == 0 || refused == 0 {
				t.Errorf("%d times exact, %d times refused: want both", exact, refused)
			}
		})
	}
}
