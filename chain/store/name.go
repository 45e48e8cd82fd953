package store

import (
	"fmt"
	"strings"
)

const (
	// MaxName is the length in bytes of the longest legal object name, which is what
	// Linux file systems can hold.
	MaxName = 255

	// TempPrefix begins the names that a store gives to unfinished puts, and so no
	// legal object name.
	TempPrefix = ".hindsight-put-"
)

// CheckName returns an error that wraps ErrName unless name is legal: 1 to MaxName
// bytes without "/" and NUL, not "." or "..", and not beginning with TempPrefix.
// Names should be UTF-8 as not every server takes others. Every store refuses
// illegal names, in all operations.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: empty", ErrName)
	case len(name) > MaxName:
		return fmt.Errorf("%w: %d bytes long, at most %d are allowed", ErrName, len(name), MaxName)
	case name == "." || name == "..":
		return fmt.Errorf("%w: %q", ErrName, name)
	case strings.ContainsAny(name, "/\x00"):
		return fmt.Errorf("%w: slash or NUL in %q", ErrName, name)
	case strings.HasPrefix(name, TempPrefix):
		return fmt.Errorf("%w: %q begins like an unfinished put", ErrName, name)
	}
	return nil
}
