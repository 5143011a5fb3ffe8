package tus_test

import (
	"bytes"
	"testing"

	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

// What TestFaultSoak and TestFaultMatrix found, each as small as it gets.

func TestStreamThatIsRefusedAtItsEndIsUnconfirmed(t *testing.T) {
	srv := tustest.NewServer(t, nil)
	srv.Inject(tustest.Fault{Method: "PATCH", Skip: 2, Times: -1, Action: tustest.SetStatus(422)})
	data := randomBytes(2500)
	res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Reader(bytes.NewReader(data)), chunked())
	wantError(t, err, tus.ErrUnconfirmed)
	wantStored(t, srv.Handler, res.URL, data)
}
