package s3test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"
)

// maxBody is the longest body in bytes that a Fake takes.
const maxBody = 64 << 20

// ServeHTTP is http.Handler's.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op, bucket, key := operation(r)
	r.URL.Path, r.URL.RawPath = "/"+bucket+"/"+key, "" // wherever the bucket was
	if key == "" {
		r.URL.Path = "/" + bucket
	}
	w.Header().Set("Date", clock{f.opt.Skew}.Now().Format(http.TimeFormat))
	body, ok := receive(w, r)
	if !ok {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	o := object{bucket, key}
	switch op {
	case PutObject, CompleteMultipartUpload, CopyObject, UploadPartCopy, UploadPart, DeleteObject, DeleteObjects,
		CreateMultipartUpload, AbortMultipartUpload:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.change(w, r, op, o, body)
	case GetObject, HeadObject:
		f.read(w, r, op, o)
	case RestoreObject:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.restore(w, r, o)
	default:
		f.inner.ServeHTTP(w, r)
	}
}

// receive reads a body and checks what the headers say of it. Nothing is changed on
// the server by a body that is not whole.
func receive(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	sha := r.Header.Get("X-Amz-Content-Sha256")
	if strings.HasPrefix(sha, "STREAMING-") || r.Header.Get("X-Amz-Trailer") != "" {
		sendError(w, r, http.StatusNotImplemented, "NotImplemented", "bodies in chunks are not implemented")
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		sendError(w, r, http.StatusBadRequest, "IncompleteBody", "the body is not whole")
		return nil, false
	}
	if len(sha) == 2*sha256.Size {
		if sum := sha256.Sum256(body); sha != hex.EncodeToString(sum[:]) {
			sendError(w, r, http.StatusBadRequest, "XAmzContentSHA256Mismatch", "the body is not what was signed")
			return nil, false
		}
	}
	for header, h := range digests() {
		want := r.Header.Get(header)
		if want == "" {
			continue
		}
		h.Write(body)
		if want != base64.StdEncoding.EncodeToString(h.Sum(nil)) {
			sendError(w, r, http.StatusBadRequest, "BadDigest", header+" does not fit the body")
			return nil, false
		}
	}
	return body, true
}

func digests() map[string]hash.Hash {
	return map[string]hash.Hash{
		"Content-Md5":              md5.New(),
		"X-Amz-Checksum-Crc32":     crc32.NewIEEE(),
		"X-Amz-Checksum-Crc32c":    crc32.New(crc32.MakeTable(crc32.Castagnoli)),
		"X-Amz-Checksum-Crc64nvme": crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)),
		"X-Amz-Checksum-Sha1":      sha1.New(),
		"X-Amz-Checksum-Sha256":    sha256.New(),
	}
}

// change carries out what changes something. The lock is held.
func (f *Fake) change(w http.ResponseWriter, r *http.Request, op Op, o object, body []byte) {
	if !f.condition(w, r, op, o) {
		return
	}
	if src, ok := source(r); ok {
		if frozen, _ := f.archived(src); frozen {
			sendError(w, r, http.StatusForbidden, "InvalidObjectState", "the source is in an archive class")
			return
		}
	}
	id := r.URL.Query().Get("uploadId")
	switch op {
	case CompleteMultipartUpload:
		f.complete(w, r, o, id, body)
		return
	case UploadPartCopy:
		f.copyPart(w, r, id)
		return
	}
	out := httptest.NewRecorder()
	f.inner.ServeHTTP(out, r)
	if out.Code/100 == 2 {
		f.keep(r, op, o, id, body, out)
	}
	relay(w, out)
}

// condition deals with If-None-Match, and reports whether to go on.
func (f *Fake) condition(w http.ResponseWriter, r *http.Request, op Op, o object) bool {
	if r.Header.Get("If-None-Match") == "" {
		return true
	}
	switch f.opt.Conditional {
	case Refused:
		sendError(w, r, http.StatusNotImplemented, "NotImplemented", "A header you provided implies functionality that is not implemented")
		return false
	case Ignored:
		r.Header.Del("If-None-Match")
		return true
	}
	if op != PutObject && op != CompleteMultipartUpload {
		return true
	}
	if _, err := f.backend.HeadObject(o.bucket, o.key); err != nil {
		return true
	}
	sendError(w, r, http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold")
	return false
}

// keep notes what the server behind does not. The lock is held.
func (f *Fake) keep(r *http.Request, op Op, o object, id string, body []byte, out *httptest.ResponseRecorder) {
	switch op {
	case PutObject, CopyObject:
		f.put(o, r.Header.Get("X-Amz-Storage-Class"))
		sum := md5.Sum(body)
		delete(f.etags, version{o, hex.EncodeToString(sum[:])})
	case DeleteObject:
		delete(f.classes, o)
		delete(f.thaws, o)
	case CreateMultipartUpload:
		var answer gofakes3.InitiateMultipartUploadResult
		if xml.Unmarshal(out.Body.Bytes(), &answer) == nil {
			id = string(answer.UploadID)
			f.parts[id] = make(map[int]int64)
			f.classes[object{id, ""}] = r.Header.Get("X-Amz-Storage-Class") // until it is complete
		}
	case UploadPart:
		n, _ := strconv.Atoi(r.URL.Query().Get("partNumber"))
		f.parts[id][n] = int64(len(body))
	case AbortMultipartUpload:
		f.forget(id)
	}
}

// put notes that an object has been written anew.
func (f *Fake) put(o object, class string) {
	f.classes[o] = class
	delete(f.thaws, o)
}

func (f *Fake) forget(upload string) {
	delete(f.parts, upload)
	delete(f.classes, object{upload, ""})
}

// complete ends an upload, and gives the object the ETag that one in parts has.
func (f *Fake) complete(w http.ResponseWriter, r *http.Request, o object, id string, body []byte) {
	var in gofakes3.CompleteMultipartUploadRequest
	if err := xml.Unmarshal(body, &in); err != nil {
		sendError(w, r, http.StatusBadRequest, "MalformedXML", err.Error())
		return
	}
	for i, p := range in.Parts {
		if i+1 < len(in.Parts) && f.parts[id] != nil && f.parts[id][p.PartNumber] < f.opt.MinPart {
			sendError(w, r, http.StatusBadRequest, "EntityTooSmall", fmt.Sprintf("part %d is too small", p.PartNumber))
			return
		}
	}
	out := httptest.NewRecorder()
	f.inner.ServeHTTP(out, r)
	var answer gofakes3.CompleteMultipartUploadResult
	if out.Code/100 == 2 && xml.Unmarshal(out.Body.Bytes(), &answer) == nil {
		if obj, err := f.backend.HeadObject(o.bucket, o.key); err == nil {
			f.etags[version{o, hex.EncodeToString(obj.Hash)}] = answer.ETag
		}
		f.put(o, f.classes[object{id, ""}])
		f.forget(id)
	}
	relay(w, out)
}

// copyPart puts a range of an object as a part. The lock is held.
func (f *Fake) copyPart(w http.ResponseWriter, r *http.Request, id string) {
	src, ok := source(r)
	if !ok || f.opt.NoCopyPart {
		sendError(w, r, http.StatusNotImplemented, "NotImplemented", "copies of parts are not implemented")
		return
	}
	var first, last int64
	var rng *gofakes3.ObjectRangeRequest
	if n, _ := fmt.Sscanf(r.Header.Get("X-Amz-Copy-Source-Range"), "bytes=%d-%d", &first, &last); n == 2 {
		rng = &gofakes3.ObjectRangeRequest{Start: first, End: last}
	}
	obj, err := f.backend.GetObject(src.bucket, src.key, rng)
	if err != nil {
		sendError(w, r, http.StatusNotFound, "NoSuchKey", err.Error())
		return
	}
	data, err := io.ReadAll(obj.Contents)
	if err != nil {
		sendError(w, r, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	part := r.Clone(r.Context())
	part.Header.Del("X-Amz-Copy-Source")
	part.Header.Set("Content-Length", strconv.Itoa(len(data)))
	part.ContentLength, part.Body = int64(len(data)), io.NopCloser(bytes.NewReader(data))
	out := httptest.NewRecorder()
	f.inner.ServeHTTP(out, part)
	if out.Code/100 != 2 {
		relay(w, out)
		return
	}
	f.keep(part, UploadPart, object{}, id, data, out)
	w.Header().Set("Content-Type", "application/xml")
	_, _ = fmt.Fprintf(w, "<CopyPartResult><LastModified>%s</LastModified><ETag>%s</ETag></CopyPartResult>",
		clock{f.opt.Skew}.Now().Format(time.RFC3339), out.Header().Get("ETag"))
}

// source is the object that a request copies from.
func source(r *http.Request) (object, bool) {
	src := r.Header.Get("X-Amz-Copy-Source")
	plain, err := url.PathUnescape(src)
	bucket, key, ok := strings.Cut(strings.TrimPrefix(plain, "/"), "/")
	return object{bucket, key}, src != "" && err == nil && ok
}

// relay sends an answer that was kept back.
func relay(w http.ResponseWriter, out *httptest.ResponseRecorder) {
	for k, v := range out.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(out.Code)
	_, _ = w.Write(out.Body.Bytes()) // a client that is gone has got none
}

// read serves an object's bytes or head.
func (f *Fake) read(w http.ResponseWriter, r *http.Request, op Op, o object) {
	f.mu.Lock()
	frozen, restore := f.archived(o)
	class := f.class(o)
	f.mu.Unlock()
	if frozen && op == GetObject {
		sendError(w, r, http.StatusForbidden, "InvalidObjectState", "The operation is not valid for the object's storage class")
		return
	}
	out := &readWriter{ResponseWriter: w, f: f, r: r, o: o, class: class, restore: restore}
	f.inner.ServeHTTP(out, r)
	if !out.begun { // there is no body
		out.WriteHeader(http.StatusOK)
	}
}

// readWriter puts right the head of the answer to a read, which tells which content
// it has found.
type readWriter struct {
	http.ResponseWriter
	f              *Fake
	r              *http.Request
	o              object
	class, restore string
	begun, refused bool
}

func (w *readWriter) WriteHeader(status int) {
	if w.begun {
		return
	}
	w.begun = true
	h := w.Header()
	for name := range h {
		if strings.HasPrefix(name, "X-Amz-") && !strings.HasPrefix(name, "X-Amz-Meta-") && name != "X-Amz-Request-Id" && name != "X-Amz-Id-2" &&
			!strings.HasPrefix(name, "X-Amz-Server-Side-") {
			h.Del(name) // headers of the put
		}
	}
	if status/100 == 2 {
		w.f.mu.Lock()
		h.Set("ETag", w.f.etag(w.o, h.Get("ETag")))
		w.f.mu.Unlock()
		if w.class != "STANDARD" {
			h.Set("X-Amz-Storage-Class", w.class)
		}
		if w.restore != "" {
			h.Set("X-Amz-Restore", w.restore)
		}
		if want := w.r.Header.Get("If-Match"); want != "" && strings.Trim(want, `"`) != strings.Trim(h.Get("ETag"), `"`) {
			w.refused = true
			for _, name := range []string{"Content-Length", "Content-Range", "ETag"} {
				h.Del(name)
			}
			sendError(w.ResponseWriter, w.r, http.StatusPreconditionFailed, "PreconditionFailed", "another content has come")
			return
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *readWriter) Write(p []byte) (int, error) {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
	if w.refused {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

// restore begins to thaw an object. The lock is held.
func (f *Fake) restore(w http.ResponseWriter, r *http.Request, o object) {
	if _, err := f.backend.HeadObject(o.bucket, o.key); err != nil {
		sendError(w, r, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
		return
	}
	frozen, said := f.archived(o)
	switch {
	case frozen && said != "":
		sendError(w, r, http.StatusConflict, "RestoreAlreadyInProgress", "Object restore is already in progress")
	case frozen:
		f.thaws[o] = time.Now().Add(f.opt.Thaw)
		w.WriteHeader(http.StatusAccepted)
	case said != "":
		w.WriteHeader(http.StatusOK)
	default:
		sendError(w, r, http.StatusForbidden, "InvalidObjectState", "Restore is not allowed for the object's current storage class")
	}
}
