package strict_test

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/seed-175555ba/tus-go/examples/hosted/strict"
	"github.com/seed-175555ba/tus-go/tus"
)

func TestRules_ChunkSizes(t *testing.T) {
	for name, c := range map[string]struct {
		rule func(int64, bool) error
		good []chunk
		bad  []chunk
	}{
		"exactly": {
			strict.Exactly(6),
			[]chunk{{6, false}, {6, true}, {1, true}},
			[]chunk{{5, false}, {7, false}, {7, true}, {12, false}},
		},
		"multiple": {
			strict.Multiple(2, 4, 8),
			[]chunk{{4, false}, {6, false}, {8, false}, {8, true}, {1, true}, {7, true}},
			[]chunk{{2, false}, {5, false}, {10, false}, {10, true}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, g := range c.good {
				if err := c.rule(g.size, g.last); err != nil {
					t.Errorf("%v: %v", g, err)
				}
			}
			for _, b := range c.bad {
				if c.rule(b.size, b.last) == nil {
					t.Errorf("%v was accepted", b)
				}
			}
		})
	}
}

type chunk struct {
	size int64
	last bool
}

func TestServer_WithoutRulesAcceptsAll(t *testing.T) {
	srv := strict.NewServer(t, strict.Rules{})
	if _, err := upload(t, srv.Endpoint()); err != nil || len(srv.Broken()) > 0 {
		t.Errorf("%v, %v", err, srv.Broken())
	}
}

func TestServer_RefusalHasStatusAndIsRecorded(t *testing.T) {
	refuse := func(*http.Request) error { return errors.New("refused") }
	for status, rules := range map[int]strict.Rules{
		http.StatusBadRequest:            {Metadata: []string{"name"}},
		http.StatusUnauthorized:          {Authorize: refuse},
		http.StatusForbidden:             {NoCreation: true},
		http.StatusRequestEntityTooLarge: {BodyLimit: 10},
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			srv := strict.NewServer(t, rules)
			_, err := upload(t, srv.Endpoint())
			var failed *tus.Error
			if !errors.As(err, &failed) || failed.StatusCode != status || len(srv.Broken()) == 0 {
				t.Errorf("error is %v, recorded %v", err, srv.Broken())
			}
		})
	}
}

// upload uploads a hundred bytes.
func upload(t *testing.T, endpoint string) (*tus.Result, error) {
	t.Helper()
	client, err := tus.NewClient(endpoint, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client.Upload(t.Context(), tus.Bytes(make([]byte, 100)), nil)
}
