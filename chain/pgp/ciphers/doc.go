// Package ciphers has the block ciphers that gpg can be told to use and no library at
// hand has: Camellia (RFC 3713) and IDEA. They serve to read what was written so
// (duplicity-format.md §7: the user's gpg options rule); hindsight never chooses them.
//
// Both look up tables by secret values, so a process on the same machine might learn
// of a key by timing them. Whoever can do so on a machine that restores backups can
// mostly read those too.
//
// The Blocks are immutable and safe for concurrent use.
package ciphers
