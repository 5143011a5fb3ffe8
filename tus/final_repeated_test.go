package tus_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestRepeatedFinals_OmitsRequestsNotSent(t *testing.T) {
	srv, data := finalLast(t), randomBytes(unequalSize)
	onFinal(srv, tustest.LoseResponse())
	attempts := 0
	opts := unequal()
	opts.Hooks.BeforeRequest = func(r *http.Request) error {
		if strings.HasPrefix(r.Header.Get("Upload-Concat"), "final;") {
			if attempts++; attempts == 2 {
				return errors.New("no token")
			}
		}
		return nil
	}
	retry := tus.RetryPolicy{ShouldRetry: func(error, int) bool { return true }}
	res, err := newClient(t, srv.Endpoint(), &tus.Options{Retry: retry}).Upload(testContext(t), tus.Bytes(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	if n := finalRequests(srv.Handler); n != 2 || attempts != 3 || res.Stats.RepeatedFinals != 1 {
		t.Errorf("%d requests for a final upload in %d attempts, %d repeated", n, attempts, res.Stats.RepeatedFinals)
	}
}
