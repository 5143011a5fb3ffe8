package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	secret    = "a secret"
	oldSecret = "the previous secret"
)

var body = []byte(`{"id":"evt_1","type":"upload.complete"}`)

// hook is a webhook that counts handled calls.
type hook struct {
	*webhook
	handled atomic.Int64
	fail    error // of the next call
}

func newHook() *hook {
	h := &hook{}
	h.webhook = newWebhook([]string{secret, oldSecret}, func(_ context.Context, got []byte) error {
		if !bytes.Equal(got, body) {
			return errors.New("another body")
		}
		err := h.fail
		h.fail = nil
		if err == nil {
			h.handled.Add(1)
		}
		return err
	}, slog.New(slog.DiscardHandler))
	return h
}

// call posts a body with signature headers and returns the status.
func (h *hook) call(body []byte, signatures ...string) int {
	r := httptest.NewRequest(http.MethodPost, "/webhook", bytes.NewReader(body))
	for _, s := range signatures {
		r.Header.Add(signatureHeader, s)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// want fails unless a call got the status and handled calls were handled in total.
func (h *hook) want(t *testing.T, got, status, handled int) {
	t.Helper()
	if got != status {
		t.Errorf("the call got %d, want %d", got, status)
	}
	if n := h.handled.Load(); n != int64(handled) {
		t.Errorf("%d calls were handled, want %d", n, handled)
	}
}

func TestWebhook_ValidCallIsHandled(t *testing.T) {
	now := time.Now()
	good := signatureOf(secret, now, body)
	for name, signature := range map[string]string{
		"current secret":           good,
		"previous secret":          signatureOf(oldSecret, now, body),
		"two signatures":           good + ",v1=" + strings.Repeat("00", 32),
		"with another scheme":      good + ",v0=one,v2=two",
		"with spaces":              strings.ReplaceAll(good, ",", ", "),
		"with capitals in hex":     good[:strings.Index(good, "v1=")+3] + strings.ToUpper(good[strings.Index(good, "v1=")+3:]),
		"with the time at its end": good[strings.Index(good, "v1="):] + "," + good[:strings.Index(good, ",")],
	} {
		t.Run(name, func(t *testing.T) {
			h := newHook()
			h.want(t, h.call(body, signature), http.StatusNoContent, 1)
		})
	}
}

// The expected value is the output of openssl dgst -sha256 -hmac.
func TestSign_MatchesOpenSSL(t *testing.T) {
	m := sign("whsec_test", 1767225600, []byte(`{"a":1}`))
	if got, want := hex.EncodeToString(m[:]), "6d204545ff126a339c00513d93603299c984074ce1331c3537c3f6c976b49019"; got != want {
		t.Errorf("signature is %s, want %s", got, want)
	}
}

func TestWebhook_ForgedCallIsRefused(t *testing.T) {
	now := time.Now()
	good := signatureOf(secret, now, body)
	at, signature, _ := strings.Cut(good, ",")
	for name, c := range map[string]struct {
		body       []byte
		signatures []string
	}{
		"not signed":              {body, nil},
		"empty":                   {body, []string{""}},
		"other secret":            {body, []string{signatureOf("another", now, body)}},
		"empty secret":            {body, []string{signatureOf("", now, body)}},
		"other body":              {append([]byte(" "), body...), []string{good}},
		"no body":                 {nil, []string{good}},
		"other time":              {body, []string{"t=" + signatureOf(secret, now.Add(time.Second), body)[2:12] + "," + signature}},
		"time in another form":    {body, []string{"t=0" + good[2:]}},
		"negative time":           {body, []string{"t=-" + good[2:]}},
		"time that overflows":     {body, []string{"t=99999999999999999999," + signature}},
		"no time":                 {body, []string{signature}},
		"two times":               {body, []string{at + "," + good}},
		"no signature":            {body, []string{at}},
		"another version":         {body, []string{at + ",v0" + signature[2:]}},
		"part of a signature":     {body, []string{good[:len(good)-2]}},
		"signature and more":      {body, []string{good + "00"}},
		"not hexadecimal":         {body, []string{at + ",v1=" + strings.Repeat("zz", 32)}},
		"two headers":             {body, []string{good, good}},
		"too many signatures":     {body, []string{good + strings.Repeat(","+signature, 8)}},
		"header without end":      {body, []string{good + "," + strings.Repeat("x", 2000)}},
		"last bit of a signature": {body, []string{flipLastBit(good)}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHook()
			h.want(t, h.call(c.body, c.signatures...), http.StatusUnauthorized, 0)
		})
	}
}

func flipLastBit(s string) string {
	const digits = "0123456789abcdef"
	last := strings.IndexByte(digits, s[len(s)-1])
	return s[:len(s)-1] + string(digits[last^1])
}

func TestWebhook_StaleCallIsRefused(t *testing.T) {
	for _, c := range []struct {
		age    time.Duration // of the call at its arrival; negative if it is from the future
		status int
	}{
		{0, http.StatusNoContent},
		{5 * time.Minute, http.StatusNoContent},
		{5*time.Minute + time.Second, http.StatusUnauthorized},
		{24 * time.Hour, http.StatusUnauthorized},
		{-5 * time.Minute, http.StatusNoContent},
		{-5*time.Minute - time.Second, http.StatusUnauthorized},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHook()
			signature := signatureOf(secret, time.Now().Add(-c.age), body)
			if got := h.call(body, signature); got != c.status {
				t.Errorf("a call of age %v got %d, want %d", c.age, got, c.status)
			}
		})
	}
}

func TestWebhook_ReplayedCallIsNotHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHook()
		now := time.Now()
		good, old := signatureOf(secret, now, body), signatureOf(oldSecret, now, body)
		h.want(t, h.call(body, good), http.StatusNoContent, 1)
		// The same signature, and all variants of it that an eavesdropper can make.
		for _, replayed := range []string{good, old, good + "," + good[strings.Index(good, "v1="):], strings.ReplaceAll(good, ",", " ,  ")} {
			h.want(t, h.call(body, replayed), http.StatusNoContent, 1)
		}
		time.Sleep(5 * time.Minute)
		h.want(t, h.call(body, good), http.StatusNoContent, 1)
		time.Sleep(time.Second)
		h.want(t, h.call(body, good), http.StatusUnauthorized, 1)
		h.want(t, h.call(body, signatureOf(secret, time.Now(), body)), http.StatusNoContent, 2)
	})
}

func TestWebhook_FailedCallCanBeRetried(t *testing.T) {
	h := newHook()
	h.fail = errors.New("the database is unavailable")
	good := signatureOf(secret, time.Now(), body)
	h.want(t, h.call(body, good), http.StatusInternalServerError, 0)
	h.want(t, h.call(body, good), http.StatusNoContent, 1)
}

func TestWebhook_ConcurrentCopiesAreHandledOnce(t *testing.T) {
	const copies = 20
	h := newHook()
	handle, started, resume := h.handle, make(chan struct{}, copies), make(chan struct{})
	h.handle = func(ctx context.Context, body []byte) error {
		started <- struct{}{}
		<-resume
		return handle(ctx, body)
	}
	good := signatureOf(secret, time.Now(), body)
	first := make(chan int, 1)
	go func() { first <- h.call(body, good) }()
	<-started
	var wg sync.WaitGroup
	for range copies {
		wg.Go(func() {
			if got := h.call(body, good); got != http.StatusConflict {
				t.Errorf("a copy got %d", got)
			}
		})
	}
	wg.Wait()
	close(resume)
	h.want(t, <-first, http.StatusNoContent, 1)
}

// A call that cannot be remembered is refused, because it could be replayed.
func TestWebhook_MemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHook()
		h.seen = newSeen(2)
		at := func(seconds int) string {
			return signatureOf(secret, time.Now().Add(time.Duration(seconds)*time.Second), body)
		}
		first := at(0)
		h.want(t, h.call(body, first), http.StatusNoContent, 1)
		h.want(t, h.call(body, at(1)), http.StatusNoContent, 2)
		h.want(t, h.call(body, at(2)), http.StatusServiceUnavailable, 2)
		h.want(t, h.call(body, first), http.StatusNoContent, 2)
		time.Sleep(5*time.Minute + time.Second) // the first call is stale now, the second is not
		h.want(t, h.call(body, at(0)), http.StatusNoContent, 3)
		h.want(t, h.call(body, at(1)), http.StatusServiceUnavailable, 3)
	})
}

func TestWebhook_LongBodyIsRefused(t *testing.T) {
	h := newHook()
	long := bytes.Repeat([]byte("x"), 1<<20+1)
	h.want(t, h.call(long, signatureOf(secret, time.Now(), long)), http.StatusBadRequest, 0)
}
