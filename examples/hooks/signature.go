package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Errors of verify.
var (
	errUnsigned = errors.New("missing or malformed signature")
	errForged   = errors.New("the signature does not match secret and body")
	errStale    = errors.New("the call is too old, or from the future")
)

// verifier checks signatures of the form t=TIME,v1=HMAC.
type verifier struct {
	secrets   []string
	tolerance time.Duration // for the sender's clock and the time in flight
}

// mac is an HMAC-SHA256.
type mac [sha256.Size]byte

// call is a valid call.
type call struct {
	id      mac       // depends only on time and body
	expires time.Time // after which it is stale
}

// verify checks a call that arrives at now. headers are all its signature headers.
func (v verifier) verify(headers []string, body []byte, now time.Time) (call, error) {
	if len(headers) != 1 {
		return call{}, errUnsigned
	}
	t, signatures, err := parseSignature(headers[0])
	if err != nil {
		return call{}, err
	}
	if !v.signed(t, body, signatures) {
		return call{}, errForged
	}
	at := time.Unix(t, 0)
	if now.Sub(at).Abs() > v.tolerance {
		return call{}, errStale
	}
	return call{id: sign(v.secrets[0], t, body), expires: at.Add(v.tolerance)}, nil
}

// signed reports whether one of the signatures was made with one of the secrets.
func (v verifier) signed(t int64, body []byte, signatures []mac) bool {
	found := false
	for _, secret := range v.secrets {
		want := sign(secret, t, body)
		for _, s := range signatures {
			found = hmac.Equal(s[:], want[:]) || found // in constant time
		}
	}
	return found
}

// sign returns the signature of a body that is sent at the Unix time t.
func sign(secret string, t int64, body []byte) mac {
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(h, "%d.", t)
	h.Write(body)
	return mac(h.Sum(nil))
}

// signatureOf returns the header for a body that is sent at now.
func signatureOf(secret string, now time.Time, body []byte) string {
	m := sign(secret, now.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", now.Unix(), hex.EncodeToString(m[:]))
}

// parseSignature parses a header. It ignores fields other than t and v1: a sender may
// sign with several versions of the scheme.
func parseSignature(header string) (t int64, signatures []mac, err error) {
	const maxLength, maxSignatures = 1 << 10, 8
	if len(header) > maxLength {
		return 0, nil, errUnsigned
	}
	times := 0
	for field := range strings.SplitSeq(header, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch key {
		case "t":
			times++
			t, err = strconv.ParseInt(value, 10, 64)
			// Only the shortest form of the time is signed.
			if err != nil || strconv.FormatInt(t, 10) != value || t < 0 {
				return 0, nil, errUnsigned
			}
		case "v1":
			m, err := hex.DecodeString(value)
			if err != nil || len(m) != sha256.Size {
				return 0, nil, errUnsigned
			}
			signatures = append(signatures, mac(m))
		}
	}
	if times != 1 || len(signatures) == 0 || len(signatures) > maxSignatures {
		return 0, nil, errUnsigned
	}
	return t, signatures, nil
}
