package store

import (
	"errors"
	"strings"
)

// Kinds of errors, for errors.Is. An error of no kind is a generic failure of the
// store (the exit codes are in duplicity-format.md §6.1).
var (
	ErrNotExist   = errors.New("does not exist")    // object, or the whole place, is missing
	ErrExist      = errors.New("exists already")    // PutOptions.IfAbsent
	ErrPermission = errors.New("permission denied") // by the file system, or a policy
	ErrNoSpace    = errors.New("no space left")     // or a quota is used up
	ErrName       = errors.New("illegal object name")
	ErrArchived   = errors.New("is in an archive class")     // Get, until it is thawed: Thawer
	ErrTooLarge   = errors.New("object larger than allowed") // ReadAll
)

// Error is a failed operation of a store.
type Error struct {
	Op   string // list, get, put, delete, copy, open
	Name string // object, or prefix for a list; may be empty
	Kind error  // one of the kinds above, or nil
	Err  error  // cause, or nil; holds no secrets
}

// Error is "get NAME: cause". The kind is told only where the cause does not tell it.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Name != "" {
		b.WriteString(" " + e.Name)
	}
	switch {
	case e.Err == nil && e.Kind == nil:
		b.WriteString(": failed")
	case e.Err == nil:
		b.WriteString(": " + e.Kind.Error())
	case e.Kind == nil || errors.Is(e.Err, e.Kind) || strings.Contains(e.Err.Error(), e.Kind.Error()):
		b.WriteString(": " + e.Err.Error())
	default:
		b.WriteString(": " + e.Kind.Error() + ": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap gives errors.Is and errors.As both the kind and the cause.
func (e *Error) Unwrap() []error {
	var errs []error
	if e.Kind != nil {
		errs = append(errs, e.Kind)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}
