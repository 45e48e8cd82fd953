package pgp

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// maxKeyFile bounds a key file and gpg's export, in bytes.
const maxKeyFile = 16 << 20

// readKeyFiles reads all keys of all files.
func readKeyFiles(names []string) (openpgp.EntityList, error) {
	var all openpgp.EntityList
	for _, name := range names {
		data, err := readBounded(name)
		if err != nil {
			return nil, fmt.Errorf("read key file: %w", err)
		}
		list, err := parseKeys(data)
		if err != nil {
			return nil, fmt.Errorf("read key file %s: %w", name, err)
		}
		all = append(all, list...)
	}
	return all, nil
}

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err == nil && len(data) > maxKeyFile {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxKeyFile)
	}
	return data, err
}

var errNoKeys = errors.New("no keys")

// parseKeys reads binary keys, or any number of armored blocks of them.
func parseKeys(data []byte) (openpgp.EntityList, error) {
	var all openpgp.EntityList
	if len(data) > 0 && data[0]&0x80 != 0 {
		all, err := openpgp.ReadKeyRing(bytes.NewReader(data))
		if err == nil && len(all) == 0 { // it passes over what it cannot read
			err = errNoKeys
		}
		return all, err
	}
	r := bufio.NewReader(bytes.NewReader(data))
	for {
		block, err := armor.Decode(r)
		if err == io.EOF && len(all) > 0 {
			return all, nil
		}
		if err == io.EOF {
			return nil, errNoKeys
		}
		if err != nil {
			return nil, err
		}
		list, err := openpgp.ReadKeyRing(block.Body)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
}

// hexID brings a key id or fingerprint to upper-case hex without 0x.
func hexID(id string) (string, error) {
	s := strings.TrimPrefix(strings.TrimPrefix(strings.ReplaceAll(id, " ", ""), "0x"), "0X")
	s = strings.TrimSuffix(s, "!")
	if len(s) < 8 || len(s) > 64 || strings.Trim(s, "0123456789abcdefABCDEF") != "" {
		return "", errors.New("not a key id of 8 or more hex digits")
	}
	return strings.ToUpper(s), nil
}

// matching is the entities one of whose keys has an id or fingerprint that ends in id.
func matching(list openpgp.EntityList, id string) openpgp.EntityList {
	tail, err := hexID(id)
	if err != nil {
		return nil
	}
	var found openpgp.EntityList
	for _, e := range list {
		ok := hasTail(e.PrimaryKey, tail)
		for _, sub := range e.Subkeys {
			ok = ok || hasTail(sub.PublicKey, tail)
		}
		if ok {
			found = append(found, e)
		}
	}
	return found
}

func hasTail(k *packet.PublicKey, tail string) bool {
	return strings.HasSuffix(strings.ToUpper(hex.EncodeToString(k.Fingerprint)), tail)
}

// secretKeys is the secret keys that may open a packet for the key id, 0 for hidden.
func secretKeys(list openpgp.EntityList, id uint64) []*packet.PrivateKey {
	var keys []*packet.PrivateKey
	add := func(k *packet.PrivateKey) {
		if k != nil && !k.Dummy() && k.PubKeyAlgo.CanEncrypt() && (id == 0 || k.KeyId == id) {
			keys = append(keys, k)
		}
	}
	for _, e := range list {
		add(e.PrivateKey)
		for _, sub := range e.Subkeys {
			add(sub.PrivateKey)
		}
	}
	return keys
}

// unlockKey unlocks a secret key in place with the first passphrase that fits.
func (kr *Keyring) unlockKey(k *packet.PrivateKey, from ...func() ([]byte, error)) error {
	kr.unlock.Lock()
	defer kr.unlock.Unlock()
	if !k.Encrypted {
		return nil
	}
	result := ErrNoPassphrase
	var tried []byte
	for _, f := range from {
		p, err := f()
		if err != nil {
			return err
		}
		if len(p) == 0 || bytes.Equal(p, tried) {
			continue
		}
		if k.Decrypt(p) == nil {
			return nil
		}
		tried, result = p, ErrWrongPassphrase
	}
	return fmt.Errorf("%w for secret key %016X", result, k.KeyId)
}

// publicKeys finds keys by id: in files, else with gpg. There is at least one.
func (kr *Keyring) publicKeys(ctx context.Context, id string) (openpgp.EntityList, error) {
	files, err := kr.files()
	if err != nil {
		return nil, err
	}
	if found := matching(files, id); len(found) > 0 {
		return found, nil
	}
	list, _, err := kr.public.get(ctx, id, func() (openpgp.EntityList, error) {
		data, err := kr.exportKey(ctx, id)
		if err != nil {
			return nil, err
		}
		if len(data) == 0 {
			return nil, fmt.Errorf("%w: neither a key file nor gpg has it", ErrNoKey)
		}
		return parseKeys(data)
	})
	return list, err
}

// onePublic finds the one key that id names.
func (kr *Keyring) onePublic(ctx context.Context, id string) (*openpgp.Entity, error) {
	list, err := kr.publicKeys(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(list) > 1 {
		return nil, fmt.Errorf("%w: %d keys match, give the fingerprint", ErrNoKey, len(list))
	}
	return list[0], nil
}

// wrapFor writes the session key for a recipient.
func (kr *Keyring) wrapFor(ctx context.Context, w io.Writer, id string, sk SessionKey, hidden bool) error {
	e, err := kr.onePublic(ctx, id)
	if err != nil {
		return err
	}
	key, ok := e.EncryptionKey(kr.opt.Now())
	if !ok {
		return fmt.Errorf("%w: it is expired, revoked, or cannot encrypt", ErrNoKey)
	}
	return packet.SerializeEncryptedKeyWithHiddenOption(w, key.PublicKey, packet.CipherFunction(sk.algo), sk.key, hidden, nil)
}

// fileHash is the hash of signatures made with keys from files.
const fileHash, fileHashID = crypto.SHA512, 10

// signingKey finds the key to sign with: a secret key in a file, else one of gpg's.
func (kr *Keyring) signingKey(ctx context.Context, id string) (*signingKey, error) {
	files, err := kr.files()
	if err != nil {
		return nil, err
	}
	for _, e := range matching(files, id) {
		k, ok := kr.pickSigner(e, id)
		if !ok || k.PrivateKey == nil || k.PrivateKey.Dummy() || k.PublicKey.Version != 4 {
			continue
		}
		if err := kr.unlockKey(k.PrivateKey, kr.signPass, kr.pass); err != nil {
			return nil, err
		}
		return &signingKey{kr: kr, priv: k.PrivateKey, hash: fileHash, hashID: fileHashID,
			algo: byte(k.PublicKey.PubKeyAlgo), id: k.PublicKey.KeyId}, nil
	}
	return kr.gpgSigner(ctx, id)
}

// pickSigner prefers the very key that id names, since duplicity compares the
// signature's key with it on restore; else the entity's signing key.
func (kr *Keyring) pickSigner(e *openpgp.Entity, id string) (openpgp.Key, bool) {
	now := kr.opt.Now()
	if tail, err := hexID(id); err == nil {
		if hasTail(e.PrimaryKey, tail) {
			if k, ok := e.SigningKeyById(now, e.PrimaryKey.KeyId); ok {
				return k, true
			}
		}
		for _, sub := range e.Subkeys {
			if !hasTail(sub.PublicKey, tail) {
				continue
			}
			if k, ok := e.SigningKeyById(now, sub.PublicKey.KeyId); ok {
				return k, true
			}
		}
	}
	return e.SigningKey(now)
}
