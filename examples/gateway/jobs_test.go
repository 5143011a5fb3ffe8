package main

import (
	"fmt"
	"net/http"
	"testing"
)

func TestMoreUploadsThanAllowedAreToldToComeBack(t *testing.T) {
	s := newSite(t, setup{options: options{maxActive: 2}})
	first, second := s.stream("/uploads/"+id+"-1"), s.stream("/uploads/"+id+"-2")
	s.until(id+"-1", http.StatusAccepted)
	s.until(id+"-2", http.StatusAccepted)
	if got := s.send("/uploads", newForm(t, "a", noise(10))); got.code != http.StatusServiceUnavailable {
		t.Errorf("the third got %+v", got)
	}
	first.finish(t)
	s.until(id+"-1", http.StatusOK)
	second.finish(t)
	if got := s.send("/uploads", newForm(t, "a", noise(10))); got.code != http.StatusAccepted {
		t.Errorf("when there was room, the answer was %+v", got)
	}
}

func TestOldestEndedUploadIsForgotten(t *testing.T) {
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
