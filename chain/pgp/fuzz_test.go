package pgp_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"

	"hindsight/chain/pgp"
	"hindsight/chain/treetest"
)

// FuzzReader feeds whole messages. Seeds: messages of our own, which cost little key
// derivation, and the heads of gpg's.
func FuzzReader(f *testing.F) {
	s := session(f, symmetric(passphrase), pgp.Recipients{Symmetric: true})
	for _, compress := range []bool{false, true} {
		f.Add(seal(f, s, sample(700, 14), 1<<20, compress))
	}
	k := keys(f)
	s = session(f, withFile(passphrase, keyFile), pgp.Recipients{Keys: []string{k.rsa}, HiddenKeys: []string{k.ecc}, SignKey: k.sign})
	f.Add(seal(f, s, sample(700, 15), 600, true))
	files, _ := filepath.Glob(filepath.Join(treetest.ModuleRoot(f), "../shared/fixtures/gpg-*/repo/*manifest*"))
	for _, name := range files {
		msg, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if msg[0] != 0x8C { // gpg's own key derivation is too slow for fuzzing
			f.Add(msg)
		}
	}
	for _, a := range []treetest.AEAD{{Cipher: 9, Mode: 2}, {Cipher: 7, Mode: 1, Octet: 2}, {Cipher: 9, Mode: 2, Octet: 16}} {
		for _, head := range heads(f, a) {
			content, _ := literal(f, 200, 16)
			esk, key := head()
			f.Add(append(esk, a.Packet(f, key, content)...))
		}
	}
	kr := withFile(passphrase, keyFile)
	f.Fuzz(func(t *testing.T, msg []byte) {
		r, err := pgp.NewReader(t.Context(), bytes.NewReader(msg), kr, pgp.ReaderOptions{})
		if err != nil {
			wantErr(t, err, pgp.ErrDecrypt)
			return
		}
		if _, err := io.Copy(io.Discard, io.LimitReader(r, 1<<20)); err != nil {
			wantErr(t, err, pgp.ErrDecrypt)
		}
		if err := r.Finish(); err != nil {
			wantErr(t, err, pgp.ErrDecrypt)
		}
	})
}

// FuzzContent feeds what lies within the encryption, where a fuzzer cannot get by
// itself.
func FuzzContent(f *testing.F) {
	literal := "\xCB\x08b\x00\x00\x00\x00\x00hi"
	onePass := "\xC4\x0D\x03\x00\x0A\x01\x11\x22\x33\x44\x55\x66\x77\x88\x01"
	var z, fl bytes.Buffer
	zw := zlib.NewWriter(&z)
	io.WriteString(zw, literal)
	zw.Close()
	fw, _ := flate.NewWriter(&fl, 6)
	io.WriteString(fw, onePass+literal+"\xC2\x03xyz")
	fw.Close()
	bz, err := hex.DecodeString(bzip2Literal)
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range []string{
		literal, onePass + literal, "\xAC\x08b\x00\x00\x00\x00\x00hi", "\xAFb\x00\x00\x00\x00\x00hi",
		"\xA3\x02" + z.String(), "\xA3\x01" + fl.String(), "\xA3\x03" + string(bz), "\xA3\x00" + literal, "\xCA\x03PGP" + literal,
	} {
		f.Add([]byte(c), true)
		f.Add([]byte(c), false)
	}
	kr := symmetric(passphrase)
	s := session(f, kr, pgp.Recipients{Symmetric: true})
	f.Fuzz(func(t *testing.T, content []byte, signed bool) {
		var msg bytes.Buffer
		w, err := s.NewWriter(&msg, pgp.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w.Write(content)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		opt := pgp.ReaderOptions{}
		if signed {
			opt.SignKey = "0123456789ABCDEF"
		}
		r, err := pgp.NewReader(t.Context(), &msg, kr, opt)
		if err != nil {
			return
		}
		io.Copy(io.Discard, io.LimitReader(r, 1<<20))
		if err := r.Finish(); signed && err == nil {
			t.Fatal("a signature by an unknown key was accepted")
		}
	})
}

// bzip2Literal is bzip2 of a literal packet "hi".
const bzip2Literal = "425a6839314159265359816a5688000004c1046040106000082000310c00d34c08815b970bb9229c284840b52b4400"
