package main

import (
	"bytes"
	"os"
	"testing"
)

func TestSchema_FileIsCurrent(t *testing.T) {
	want, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/tusup.schema.json is not current: run go generate in this directory")
	}
}
