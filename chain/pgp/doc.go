// Package pgp reads the OpenPGP messages that gpg wrote for duplicity and writes
// messages that gpg reads (duplicity-format.md §7). It knows nothing of tar.
//
// # A message
//
// As written here; what gpg writes differs in lengths and algorithms only:
//
//	ESK ...                 session key, one packet per passphrase or recipient:
//	                        SKESK v4 (tag 3), PKESK v3 (tag 1)
//	SEIPD v1 (tag 18)       partial lengths of 64 KiB, the last chunk definite
//	  01                    version
//	  CFB of:
//	    16 random octets, the last two of them again
//	    compressed data     A3 01: old format, indeterminate length, ZIP
//	      raw deflate of:
//	        one-pass signature (tag 4)     only in a signed message
//	        literal data (tag 11)          'b', no name, partial lengths
//	        signature (tag 2)              only in a signed message
//	    D3 14 SHA-1         MDC over everything above, D3 14 included
//
// gpg from version 2.3 on writes other packets for keys that ask for it, as LibrePGP and
// RFC 4880bis (§5.3, §5.16) have them. They are read, not written:
//
//	SKESK v5 (tag 3)        session key under the passphrase's key by AEAD
//	AEAD data (tag 20)      beside PKESK v3 and SKESK of either version
//	  01 cipher mode c      mode 1: EAX, 2: OCB; c: chunks of 2^(c+6) bytes, 4 MiB at most
//	  nonce
//	  chunk, tag ...        what is within the CFB above, but for random octets and MDC
//	  tag                   of nothing, and of how many bytes there are in all
//
// # Reading
//
// A [Keyring] turns the ESK packets into the session key, with a passphrase, a key
// file, or gpg (and its agent) as an oracle that is shown the ESK packets alone.
// [NewReader] yields the literal's bytes. They are authentic only once Read has
// returned io.EOF or [Reader.Finish] nil: the MDC stands at the end of a message. AEAD
// encrypted data are given out chunk by chunk, each found good before.
//
// With ReaderOptions.OnBlock a Reader tells where things lie in a message, whoever wrote
// it: [Reader.Layout] maps offsets of the content (the packets within the encryption) to
// offsets of the object, [Reader.Place] says where in the content a plain byte lies.
// [Layout.ReadRange] then decrypts any range without what lies before, and an [Unframer]
// takes the literal's data out of it. The session key is had from the session key
// packets and the first encrypted octets alone, [Keyring.SessionKey]: both may be kept.
// None of this is for AEAD encrypted data, which are read from their beginning.
//
// # Writing
//
// A [Session] holds the session key and the ESK packets that head every object of
// a set. [Session.NewWriter] gives a [BodyWriter], which encrypts what it is given;
// the caller deflates. What is to be deflated is framed by [Session.NewSigner] and
// [WriteLiteral], in this order:
//
//	Signer.OnePass | WriteLiteral block by block | Signer.Finish
//
// [BodyWriter.Layout] is the message's Layout.
//
// # Errors and concurrency
//
// Whatever stops a message from being read is an [ErrDecrypt], but for errors of
// the underlying reader, which are passed on as they are, and for [ErrSignature].
// A Keyring and a Session serve any number of goroutines; Reader, BodyWriter and
// Signer one each.
package pgp
