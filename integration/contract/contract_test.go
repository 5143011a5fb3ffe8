package contract_test

import (
	"fmt"
	"os"
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

// The section Contract of docs/compare.md has the number of scenarios of each area.
func TestComparison_HasTheScenarios(t *testing.T) {
	page, err := os.ReadFile("../../docs/compare.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n## Contract\n")
	if !ok {
		t.Fatal("docs/compare.md has no section Contract")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	rows, all := "", 0
	for _, area := range areas() {
		n := len(area.scenarios)
		rows += fmt.Sprintf("| %s | %d of %d |\n", area.name, n, n)
		all += n
	}
	if sum := fmt.Sprintf("passes %d of %d ", all, all); !strings.Contains(section, sum) {
		t.Errorf("the section Contract does not have %q", sum)
	}
	if _, table, _ := strings.Cut(section, "|---|---|\n"); !strings.HasPrefix(table, rows) {
		t.Errorf("the section Contract does not have the rows\n%s", rows)
	}
}
