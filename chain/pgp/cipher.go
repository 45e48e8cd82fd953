package pgp

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"fmt"

	"hindsight/chain/pgp/ciphers"

	"golang.org/x/crypto/blowfish" //lint:ignore SA1019 old messages are read, never written
	"golang.org/x/crypto/cast5"    //lint:ignore SA1019 old messages are read, never written
	"golang.org/x/crypto/twofish"  //lint:ignore SA1019 old messages are read, never written
)

// cipherID is a symmetric algorithm, RFC 4880 §9.2 and RFC 5581 §2.
type cipherID byte

const (
	cipherIDEA     cipherID = 1
	cipher3DES     cipherID = 2
	cipherCAST5    cipherID = 3
	cipherBlowfish cipherID = 4
	cipherAES128   cipherID = 7
	cipherAES192   cipherID = 8
	cipherAES256   cipherID = 9
	cipherTwofish  cipherID = 10

	cipherCamellia128 cipherID = 11
	cipherCamellia192 cipherID = 12
	cipherCamellia256 cipherID = 13
)

// maxBlockSize is the largest block of any cipher here, in bytes.
const maxBlockSize = aes.BlockSize

// keySize is the length of the cipher's key in bytes, 0 for an unknown cipher.
func (c cipherID) keySize() int {
	switch c {
	case cipherIDEA, cipherCAST5, cipherBlowfish, cipherAES128, cipherCamellia128:
		return 16
	case cipher3DES, cipherAES192, cipherCamellia192:
		return 24
	case cipherAES256, cipherTwofish, cipherCamellia256:
		return 32
	}
	return 0
}

// small reports whether the cipher is one of the old ones, with blocks of 8 bytes.
func (c cipherID) small() bool {
	return c == cipherIDEA || c == cipher3DES || c == cipherCAST5 || c == cipherBlowfish
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
	case cipherIDEA:
		return ciphers.NewIDEA(key)
	case cipher3DES:
		return des.NewTripleDESCipher(key)
	case cipherCAST5:
		return cast5.NewCipher(key)
	case cipherBlowfish:
		return blowfish.NewCipher(key)
	case cipherTwofish:
		return twofish.NewCipher(key)
	case cipherCamellia128, cipherCamellia192, cipherCamellia256:
		return ciphers.NewCamellia(key)
	default:
		return aes.NewCipher(key)
	}
}
