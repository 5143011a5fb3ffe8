package main

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == nodeArgument {
		fatal(runNode(os.Stdin))
		return
	}
	os.Exit(m.Run())
}

func TestDemo_StoresEachFileOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	if err := demo(t.Context()); err != nil {
		t.Fatal(err)
	}
}
