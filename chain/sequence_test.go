package chain_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"hindsight/chain"
	"hindsight/chain/chaintest"
	"hindsight/chain/codec"
	"hindsight/chain/naming"
	"hindsight/chain/pgp"
	"hindsight/chain/store/storetest"
	"hindsight/chain/treetest"
)

// TestSequential reads ranges of messages that can only be read from their beginning.
func TestSequential(t *testing.T) {
	rng := treetest.Rand(t, 3)
	data := treetest.Content(rng, 1_500_000)
	home := treetest.GPGHome(t)
	kr := pgp.NewKeyring(pgp.Options{Passphrase: pgp.Passphrase([]byte("one two")), GnuPGHome: home.Home})
	seal := func(data []byte, args []string) []byte {
		message := []byte(home.Run(t, "one two", data, append([]string{"-c", "--s2k-count", "1024", "-o", "-"}, args...)...).OK(t).Stdout)
		if args == nil {
			return chaintest.AEAD(t, kr, message, treetest.AEAD{Cipher: 9, Mode: 2, Octet: 12}, "one two")
		}
		return message
	}
	for name, args := range map[string][]string{
		"AEAD":   nil,
		"bzip2":  {"--compress-algo", "bzip2"},
		"no MDC": {"--rfc2440", "--cipher-algo", "CAST5"},
	} {
		message := seal(data, args)
		rd, err := codec.NewReader(t.Context(), bytes.NewReader(message), codec.Format{Encrypted: true}, codec.ReaderOptions{Keyring: kr, Gather: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, rd); err != nil {
			t.Fatal(err)
		}
		st := storetest.NewMem()
		repo := &chain.Repository{Store: st, Keys: kr}
		o := chain.Object{Name: naming.Name{Encrypted: true}, Key: "volume", Size: int64(len(message))}
		r, err := repo.Ranges(o, rd.Table())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !r.Table().Sequential {
			t.Fatalf("%s can be read in the middle", name)
		}
		put(t, st, o.Key, message)
		s := &stored{name: name, data: data}
		for range 20 {
			checkRange(t, s, r, rng)
		}
		last := len(r.Table().Blocks) - 1
		fetched := 0
		err = r.Fetch(t.Context(), []int{0, last}, func(b int, one chain.Stored) error {
			plain, err := one.Decode()
			if at := r.Table().Blocks[b]; err != nil || !bytes.Equal(plain, data[at.TarOffset:at.TarOffset+int64(at.Len)]) {
				t.Errorf("%s: block %d: %d bytes, %v", name, b, len(plain), err)
			}
			fetched++
			return nil
		})
		if err != nil || fetched != 2 {
			t.Errorf("%s: fetched %d blocks, %v", name, fetched, err)
		}
		for what, change := range map[string][]byte{
			"changed":   flipped(message, len(message)/2),
			"cut short": message[:len(message)/2],
			"another":   nil,
		} {
			if what == "another" {
				change = seal(bytes.ToUpper(data), args)
			}
			put(t, st, o.Key, change)
			_, err := r.ReadAt(t.Context(), make([]byte, len(data)), 0)
			if corrupt := (*chain.CorruptError)(nil); !errors.As(err, &corrupt) || corrupt.Object != o.Key {
				t.Errorf("%s, %s: error %v", name, what, err)
			}
		}
	}
}

func flipped(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}
