package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
)

// task is the upload of a client process, which gets it as JSON.
type task struct {
	Endpoint    string
	File        string // or a directory, if Concurrency is set
	Size        int64  // of the file, or of each file
	Chunk       int64  `json:",omitempty"`
	SHA1        bool   `json:",omitempty"`
	SHA256      bool   `json:",omitempty"`
	Parts       int    `json:",omitempty"`
	Concurrency int    `json:",omitempty"`
	State       string `json:",omitempty"` // path of a store that does not exist yet
	Profile     string `json:",omitempty"` // prefix of the profile files
}

const (
	nameBaseline = "baseline"
	nameTus      = "tus-go"
	nameHTTP     = "net/http"
	nameCurl     = "curl"
	nameTusJS    = "tus-js-client"
	// nameIdle does nothing: it measures the cost of a process.
	nameIdle = "idle"
)

// client is an upload program.
type client struct {
	name string
	// can reports whether it supports a workload.
	can func(workload) bool
	// inParts reports that it can send a file in parallel parts.
	inParts bool
	// command returns the command that runs a task.
	command func(task) *exec.Cmd
}

// ourClients returns the clients that are part of this program.
func ourClients() []client {
	return []client{
		{name: nameBaseline, can: always, inParts: true, command: selfClient(nameBaseline)},
		{name: nameTus, can: always, inParts: true, command: selfClient(nameTus)},
		{name: nameHTTP, can: always, command: selfClient(nameHTTP)},
	}
}

func always(workload) bool { return true }

// selfClient returns the commands of a client that is part of this program.
func selfClient(name string) func(task) *exec.Cmd {
	return func(t task) *exec.Cmd { return selfCommand(context.Background(), roleUpload, name, t.encode()) }
}

func (t task) encode() string {
	encoded, err := json.Marshal(t)
	if err != nil {
		panic(err) // cannot happen: only strings and numbers
	}
	return string(encoded)
}

// upload runs a client in its process.
func upload(ctx context.Context, name string, t task) error {
	switch name {
	case nameBaseline:
		return uploadBaseline(ctx, t)
	case nameTus:
		return profiled(t.Profile, func() error { return uploadTus(ctx, t) })
	case nameHTTP:
		return uploadPlain(ctx, t)
	case nameIdle:
		return nil
	}
	return fmt.Errorf("no client %q", name)
}
