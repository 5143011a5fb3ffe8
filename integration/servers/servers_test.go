//go:build unix

package servers_test

import (
	"os"
	"testing"

	"github.com/seed-175555ba/tus-go/integration/servers"
)

func TestTry(t *testing.T) {
	binary, err := servers.BuildTusup(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range servers.All() {
		if want := os.Getenv("ONLY"); want != "" && want != server.Name {
			continue
		}
		t.Run(server.Name, func(t *testing.T) {
			r, err := server.Start(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			trial, err := servers.NewTrial(t.Context(), r, binary, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			trial.Expiring, trial.Scripted = server.Expiring, server.Scripted
			for _, s := range servers.Situations() {
				o := trial.Try(t.Context(), s)
				t.Log(s.Name, o.Elapsed, o.Status, o.Reason, o.Exchange)
			}
		})
	}
}
