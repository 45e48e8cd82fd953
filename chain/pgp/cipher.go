package pgp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"fmt"

	"golang.org/x/crypto/blowfish" //lint:ignore SA1019 old messages are read, never written
	"golang.org/x/crypto/cast5"    //lint:ignore SA1019 old messages are read, never written
	"golang.org/x/crypto/twofish"  //lint:ignore SA1019 old messages are read, never written
)

// cipherID is a symmetric algorithm, RFC 4880 §9.2.
type cipherID byte

const (
	cipher3DES     cipherID = 2
	cipherCAST5    cipherID = 3
	cipherBlowfish cipherID = 4
	cipherAES128   cipherID = 7
	cipherAES192   cipherID = 8
	cipherAES256   cipherID = 9
	cipherTwofish  cipherID = 10
)

// maxBlockSize is the largest block of any cipher here, in bytes.
const maxBlockSize = aes.BlockSize

// keySize is the length of the cipher's key in bytes, 0 for an unknown cipher.
func (c cipherID) keySize() int {
	switch c {
	case cipherCAST5, cipherBlowfish, cipherAES128:
		return 16
	case cipher3DES, cipherAES192:
		return 24
	case cipherAES256, cipherTwofish:
		return 32
	}
	return 0
}

// small reports whether the cipher is one of the old ones, with blocks of 8 bytes.
func (c cipherID) small() bool {
	return c == cipher3DES || c == cipherCAST5 || c == cipherBlowfish
}

// newBlock is the cipher under the key.
func (c cipherID) newBlock(key []byte) (cipher.Block, error) {
	if c.keySize() == 0 {
		return nil, fmt.Errorf("%w: cipher algorithm %d", ErrUnsupported, c)
	}
	if len(key) != c.keySize() {
		return nil, fmt.Errorf("%w: session key of %d bytes for cipher algorithm %d", ErrIntegrity, len(key), c)
	}
	switch c {
	case cipher3DES:
		return des.NewTripleDESCipher(key)
	case cipherCAST5:
		return cast5.NewCipher(key)
	case cipherBlowfish:
		return blowfish.NewCipher(key)
	case cipherTwofish:
		return twofish.NewCipher(key)
	default:
		return aes.NewCipher(key)
	}
}
