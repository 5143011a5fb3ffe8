// Command schema writes docs/tusup.schema.json, the JSON schema of the lines that tusup
// prints with --json.
package main

import (
	"bytes"
	"encoding/json"
	"log"
	"os"

	"github.com/invopop/jsonschema"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/doctor"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/report"
)

//go:generate go run .

// schemaFile is relative to this directory.
const schemaFile = "../../../../../docs/tusup.schema.json"

func main() {
	log.SetFlags(0)
	text, err := generate()
	if err == nil {
		err = os.WriteFile(schemaFile, text, 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// objects are the objects that a line can have.
func objects() []any {
	return []any{
		report.File{}, report.Summary{}, report.Failure{}, report.Info{}, report.Terminated{},
		report.Capabilities{}, report.Record{}, report.Forgotten{}, report.Serving{},
		report.Remote{}, report.Queued{}, report.QueuedSummary{}, report.Job{}, report.QueueSummary{},
		report.Planned{}, report.Plan{}, report.Verified{}, doctor.Report{},
	}
}

// generate returns a schema with one alternative per object.
func generate() ([]byte, error) {
	reflector := jsonschema.Reflector{Anonymous: true}
	line := &jsonschema.Schema{
		Version:     jsonschema.Version,
		Title:       "A line of tusup --json",
		Definitions: jsonschema.Definitions{},
	}
	for _, object := range objects() {
		s := reflector.Reflect(object)
		for name, definition := range s.Definitions {
			line.Definitions[name] = definition
		}
		line.AnyOf = append(line.AnyOf, &jsonschema.Schema{Ref: s.Ref})
	}
	kind := line.Definitions["Error"].Properties
	k, _ := kind.Get("kind")
	for _, name := range report.Kinds() {
		k.Enum = append(k.Enum, string(name))
	}
	for _, name := range []string{"local", "remote"} {
		verdict, _ := line.Definitions["Verified"].Properties.Get(name)
		for _, v := range report.Verdicts() {
			verdict.Enum = append(verdict.Enum, string(v))
		}
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(line)
	return text.Bytes(), err
}
