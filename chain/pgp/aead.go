package pgp

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ProtonMail/go-crypto/eax"
	"github.com/ProtonMail/go-crypto/ocb"
)

// aeadMode is an AEAD algorithm of RFC 4880bis §9.6 and LibrePGP; 0: none.
type aeadMode byte

const (
	modeEAX aeadMode = 1
	modeOCB aeadMode = 2

	aeadTagSize = 16 // bytes, of either

	// maxChunkOctet makes chunks of 4 MiB: gpg writes none that are longer. Each is held
	// in memory.
	maxChunkOctet = 16
)

// nonceSize is in bytes, 0 for an unknown mode.
func (m aeadMode) nonceSize() int {
	switch m {
	case modeEAX:
		return 16
	case modeOCB:
		return 15
	}
	return 0
}

// check says whether the mode is known and goes with the cipher.
func (m aeadMode) check(algo cipherID) error {
	_, err := m.under(algo, make([]byte, algo.keySize()))
	return err
}

// under is the mode with the cipher under the key. It serves one goroutine.
func (m aeadMode) under(algo cipherID, key []byte) (cipher.AEAD, error) {
	block, err := algo.newBlock(key)
	if err != nil {
		return nil, err
	}
	if m.nonceSize() == 0 || block.BlockSize() != 16 {
		return nil, fmt.Errorf("%w: AEAD algorithm %d with cipher algorithm %d", ErrUnsupported, m, algo)
	}
	if m == modeEAX {
		return eax.NewEAX(block)
	}
	return ocb.NewOCB(block)
}

// aeadHead is the head of an AEAD encrypted data packet, version 1, which is authenticated
// with each of its chunks (RFC 4880bis §5.16).
type aeadHead struct {
	algo  cipherID
	mode  aeadMode
	chunk byte   // octet of the chunks' length
	iv    []byte // of the mode's nonceSize
}

// readAEADHead reads what follows the version.
func readAEADHead(r io.Reader) (aeadHead, error) {
	var b [3]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return aeadHead{}, noEOF(err)
	}
	h := aeadHead{algo: cipherID(b[0]), mode: aeadMode(b[1]), chunk: b[2]}
	if err := h.mode.check(h.algo); err != nil {
		return h, err
	}
	if h.chunk > maxChunkOctet {
		return h, fmt.Errorf("%w: AEAD encrypted data in chunks of 2^%d bytes", ErrUnsupported, int(h.chunk)+6)
	}
	h.iv = make([]byte, h.mode.nonceSize())
	_, err := io.ReadFull(r, h.iv)
	return h, noEOF(err)
}

// chunkSize is the length of all chunks but the last, in bytes without their tags.
func (h *aeadHead) chunkSize() int { return 1 << (h.chunk + 6) }

// under is the mode under a session key. One that came without an algorithm, as SKESK
// version 5 has it, is for that of the packet.
func (h *aeadHead) under(key SessionKey) (cipher.AEAD, error) {
	if key.algo != h.algo && key.algo != cipherUnsaid {
		return nil, errMisfit
	}
	return h.mode.under(h.algo, key.key)
}

// nonce is that of the chunk with a number.
func (h *aeadHead) nonce(index uint64) []byte {
	n := append([]byte(nil), h.iv...)
	low := n[len(n)-8:]
	binary.BigEndian.PutUint64(low, binary.BigEndian.Uint64(low)^index)
	return n
}

// data is what is authenticated with the chunk, but not encrypted.
func (h *aeadHead) data(index uint64) []byte {
	d := []byte{0xC0 | tagAEAD, 1, byte(h.algo), byte(h.mode), h.chunk}
	return binary.BigEndian.AppendUint64(d, index)
}

// finalData is that of the final tag, by which total says how many bytes there are in all.
func (h *aeadHead) finalData(index, total uint64) []byte {
	return binary.BigEndian.AppendUint64(h.data(index), total)
}
