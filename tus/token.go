package tus

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus/internal/httpx"
)

// A resume token has two or three fields, separated by dots: the version, the payload, and
// the signature of both if the client has a key. The payload is a record in deflate, whose
// fingerprint is that of the content only. Both are in URL-safe base64.
const (
	tokenVersion = "tus1"

	// maxToken limits the bytes of a token, and of its record. A part takes about 150.
	maxToken       = 4 << 20
	maxTokenRecord = 16 << 20

	// noFingerprint is the fingerprint in the token of a source that can be read only once.
	noFingerprint = "none"
)

// Token returns a text with which another process resumes the upload by
// [UploadOptions.Token], on another machine and without a shared store. It has the upload
// URLs, the parts of a parallel upload, the metadata, the size, the state of the digest, and
// a fingerprint of at most 1 MiB of the content. Its characters need no escaping in a URL or
// a file name. It has about 600 bytes, and about 100 for each part.
//
// The token has neither header fields nor the user and password of a URL. But it has the
// URLs with their queries: whoever knows it can write to the upload. [Options.TokenKey]
// signs it.
//
// Token may be called at any time, also by a hook, and describes the upload at that time. It
// reads the source, unless that allows only one reader. If the upload does not exist yet, is
// complete or was aborted, the error matches [ErrInvalidInput].
func (u *Uploader) Token(ctx context.Context) (string, error) {
	known := u.status()
	switch state := u.State(); {
	case state == StateComplete, state == StateAborted:
		return "", fmt.Errorf("%w: no token: the upload is %v", ErrInvalidInput, state)
	case known.url == nil && len(urlsOf(known.later)) == 0:
		return "", fmt.Errorf("%w: no token: the upload does not exist yet", ErrInvalidInput)
	}
	rec := known.later
	if known.url != nil {
		at := *known.url
		at.User = nil
		rec.UploadURL = at.String()
	}
	rec.Expires, rec.CreationHeader, rec.Metadata = known.expires, known.kept, known.metadata
	rec.Size, rec.LengthDeferred = known.info.Size, known.info.SizeUnknown || u.opts.DeferLength
	if u.digest != nil {
		rec.Digest = u.digest.saved()
	}
	rec.Fingerprint = noFingerprint
	if known.source != nil && !known.info.Sequential {
		var err error
		if rec.Fingerprint, err = u.planner.contentFingerprint(ctx, known.source, known.info); err != nil {
			return "", err
		}
	}
	return encodeToken(ofToken(rec), u.client.opts.TokenKey)
}

func encodeToken(rec storage.Record, key []byte) (string, error) {
	encoded, err := storage.Encode(rec)
	if err != nil {
		return "", fmt.Errorf("tus: token: %w", err)
	}
	var payload bytes.Buffer
	w, err := flate.NewWriter(&payload, flate.BestCompression)
	if err != nil {
		return "", err
	}
	w.Write(encoded) // a Buffer never fails
	w.Close()
	token := tokenVersion + "." + base64.RawURLEncoding.EncodeToString(payload.Bytes())
	if len(key) > 0 {
		token += "." + base64.RawURLEncoding.EncodeToString(signToken(token, key))
	}
	if len(token) > maxToken {
		return "", fmt.Errorf("%w: no token: it would have %d bytes, more than %d", ErrInvalidInput, len(token), maxToken)
	}
	return token, nil
}

func signToken(signed string, key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(signed))
	return mac.Sum(nil)
}

// decodeToken returns the record of a token. Errors do not repeat the token, which may have
// secrets.
func decodeToken(token string, key []byte) (storage.Record, error) {
	payload, err := verifyToken(strings.TrimSpace(token), key)
	if err != nil {
		return storage.Record{}, err
	}
	rec, err := decodePayload(payload)
	if err != nil {
		return storage.Record{}, errors.New("damaged")
	}
	if len(urlsOf(rec)) == 0 || len(rec.Parts) > 0 && !tile(rec) || completed(rec) {
		return storage.Record{}, errors.New("no upload that can be resumed")
	}
	for _, at := range urlsOf(rec) {
		if _, err := httpx.ParseURL("upload URL", at); err != nil {
			return storage.Record{}, err
		}
	}
	return ofToken(rec), nil
}

// verifyToken returns the payload of a token with the right signature.
func verifyToken(token string, key []byte) (string, error) {
	if len(token) > maxToken {
		return "", fmt.Errorf("more than %d bytes", maxToken)
	}
	version, rest, ok := strings.Cut(token, ".")
	payload, signature, signed := strings.Cut(rest, ".")
	switch {
	case !ok || version != tokenVersion:
		return "", fmt.Errorf("not a token of version %s", tokenVersion)
	case !signed && len(key) > 0:
		return "", errors.New("not signed, although Options.TokenKey is set")
	case signed && len(key) == 0:
		return "", errors.New("signed, but Options.TokenKey is not set")
	case !signed:
		return payload, nil
	}
	sum, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !hmac.Equal(sum, signToken(version+"."+payload, key)) {
		return "", errors.New("the signature does not match Options.TokenKey")
	}
	return payload, nil
}

func decodePayload(payload string) (storage.Record, error) {
	deflated, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return storage.Record{}, err
	}
	encoded, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(deflated)), maxTokenRecord))
	if err != nil {
		return storage.Record{}, err
	}
	return storage.Decode(encoded)
}

// ofToken returns the fields of a record that a token has. The digest is without what
// identifies the source on one machine, so that another one reads the bytes again.
func ofToken(rec storage.Record) storage.Record {
	if d := rec.Digest; d != nil {
		rec.Digest = &storage.Digest{Algorithm: d.Algorithm, Offset: d.Offset, State: d.State}
	}
	return storage.Record{
		ID: "token", Revision: 1, Fingerprint: rec.Fingerprint,
		UploadURL: rec.UploadURL, Parts: rec.Parts, Size: rec.Size, LengthDeferred: rec.LengthDeferred,
		Finishing: rec.Finishing, Refusal: rec.Refusal, Expires: rec.Expires,
		Metadata: rec.Metadata, CreationHeader: rec.CreationHeader, Digest: rec.Digest,
	}
}

// urlsOf returns the URLs of an upload. The first one identifies it.
func urlsOf(rec storage.Record) (all []string) {
	for _, p := range rec.Parts {
		if p.UploadURL != "" {
			all = append(all, p.UploadURL)
		}
	}
	if rec.UploadURL != "" {
		all = append(all, rec.UploadURL)
	}
	return all
}
