package main

import (
	"fmt"
	"mime/multipart"
	"net/http"
	"testing"
)

func TestMaxActive_FurtherUploadsAreRefused(t *testing.T) {
	s := newSite(t, setup{options: options{maxActive: 2}})
	first, second := s.stream("/uploads/"+id+"-1"), s.stream("/uploads/"+id+"-2")
	s.until(id+"-1", http.StatusAccepted)
	s.until(id+"-2", http.StatusAccepted)
	if got := s.send("/uploads", newForm(t, "a", noise(10))); got.code != http.StatusServiceUnavailable {
		t.Errorf("the third upload got %+v", got)
	}
	first.finish(t)
	s.until(id+"-1", http.StatusOK)
	second.finish(t)
	if got := s.send("/uploads", newForm(t, "a", noise(10))); got.code != http.StatusAccepted {
		t.Errorf("after an upload has ended, the response is %+v", got)
	}
}

func TestEndedUploads_OldestIsRemoved(t *testing.T) {
	s := newSite(t, setup{options: options{keep: 2}})
	path := func(i int) string { return fmt.Sprintf("/uploads/0123456789abcde%d", i) }
	for i := range 4 {
		s.send(path(i), newForm(t, "a", noise(10)))
		s.until(fmt.Sprintf("0123456789abcde%d", i), http.StatusOK)
	}
	s.gateway.shutdown(testContext(t))
	for i, want := range []int{http.StatusNotFound, http.StatusNotFound, http.StatusOK, http.StatusOK} {
		if got := s.get(path(i)); got.code != want {
			t.Errorf("status of upload %d: %d, want %d", i, got.code, want)
		}
	}
}

func TestEndedUploads_FailuresDoNotEvictComplete(t *testing.T) {
	s := newSite(t, setup{options: options{keep: 2}})
	s.send("/uploads/"+id, newForm(t, "a", noise(10)))
	s.until(id, http.StatusOK)
	bad := writeForm(t, func(w *multipart.Writer) { check(t, w.WriteField("title", "x")) })
	for i := range 5 {
		s.send(fmt.Sprintf("/uploads/fails-0123456789-%d", i), bad)
	}
	empty := map[string]parts{"none": {bad.contentType, nil}, "not a form": {"text/plain", []byte("x")}}
	for name, form := range empty {
		if got := s.send("/uploads/empty-0123456789", form); got.code < 400 {
			t.Errorf("%s: response is %+v", name, got)
		}
		if got := s.get("/uploads/empty-0123456789"); got.code != http.StatusNotFound {
			t.Errorf("%s: an empty post has a status: %+v", name, got)
		}
	}
	for path, want := range map[string]int{
		id: http.StatusOK, "fails-0123456789-2": http.StatusNotFound, "fails-0123456789-3": http.StatusOK, "fails-0123456789-4": http.StatusOK,
	} {
		if got := s.get("/uploads/" + path); got.code != want {
			t.Errorf("status of %s: %d, want %d", path, got.code, want)
		}
	}
}
