package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"hindsight/chain/difftar"
	"hindsight/chain/naming"
	"hindsight/index"
)

// listed is a path of a backup as JSON.
type listed struct {
	Path      string  `json:"path"` // the root is "."
	PathB64   []byte  `json:"path_b64,omitempty"`
	Type      string  `json:"type"` // file, directory, symlink, fifo, character device, block device
	Mode      string  `json:"mode"` // four octal digits
	UID       int64   `json:"uid"`
	GID       int64   `json:"gid"`
	User      string  `json:"uname,omitempty"`
	Group     string  `json:"gname,omitempty"`
	Size      *int64  `json:"size,omitempty"` // of a file, if it is known
	MTime     string  `json:"mtime"`          // RFC 3339, in UTC
	Target    string  `json:"target,omitempty"`
	TargetB64 []byte  `json:"target_b64,omitempty"`
	Major     *uint32 `json:"major,omitempty"`
	Minor     *uint32 `json:"minor,omitempty"`
}

// printEntry writes a path as a line of JSON.
func printEntry(w io.Writer, path string, e *index.Entry) error {
	return writeJSON(w, listedOf(path, e))
}

// listedOf is a path as JSON.
func listedOf(path string, e *index.Entry) listed {
	l := listed{
		Type: e.Type.String(), Mode: fmt.Sprintf("%04o", e.Mode), UID: e.UID, GID: e.GID,
		User: e.Uname, Group: e.Gname, MTime: time.Unix(e.MTime, 0).UTC().Format(time.RFC3339),
	}
	l.Path, l.PathB64 = jsonPath(path)
	if path == "" {
		l.Path = "."
	}
	l.Target, l.TargetB64 = jsonPath(e.Linkname)
	switch e.Type {
	case difftar.Regular:
		if e.Size >= 0 {
			l.Size = &e.Size
		}
	case difftar.CharDevice, difftar.BlockDevice:
		l.Major, l.Minor = &e.Major, &e.Minor
	}
	return l
}

// rfc3339 is a time as JSON has it, in UTC.
func rfc3339(t naming.Time) string { return t.Time().Format(time.RFC3339) }

// writeJSON writes a result as one line.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
