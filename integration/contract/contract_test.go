package contract_test

import (
	"strings"
	"testing"
)

func TestContract(t *testing.T) {
	for _, area := range areas() {
		t.Run(area.name, func(t *testing.T) {
			for _, s := range area.scenarios {
				t.Run(s.name, func(t *testing.T) {
					for _, problem := range run(t, s) {
						t.Error(strings.TrimSpace(problem))
					}
				})
			}
		})
	}
}
