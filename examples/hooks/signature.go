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

// Why a call is not good.
var (
	errUnsigned = errors.New("the call is not signed as it should be")
	errForged   = errors.New("the signature is not of this secret and body")
	errStale    = errors.New("the call is too old, or from the future")
)

// verifier checks signatures of the form t=TIME,v1=HMAC.
type verifier struct {
	secrets   []string
	tolerance time.Duration // between the sender's clock and ours, and for the way
}

// mac is an HMAC-SHA256.
type mac [sha256.Size]byte

// call is a good call.
type call struct {
	id      mac       // the same for the same time and body, however it was signed
	expires time.Time // after which it is stale
}

// verify judges a call that arrives now. headers are all signature headers of it.
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

// sign is the signature of a body that is sent at the Unix time t.
func sign(secret string, t int64, body []byte) mac {
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(h, "%d.", t)
	h.Write(body)
	return mac(h.Sum(nil))
}

// signatureOf is the header for a body that is sent now.
func signatureOf(secret string, now time.Time, body []byte) string {
	m := sign(secret, now.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", now.Unix(), hex.EncodeToString(m[:]))
}

// parseSignature takes a header apart. What is neither t nor v1 belongs to another
// version of the scheme and is left alone: a sender may sign in several ways.
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
			// As it is signed in its shortest form, nothing else is the same time.
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
