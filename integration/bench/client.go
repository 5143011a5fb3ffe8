package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
)

// task is what a client is told to upload. It goes to the client process as
// JSON.
type task struct {
	Endpoint    string
	File        string // or a folder, if Concurrency is set
	Size        int64  // of the file, or of each
	Chunk       int64  `json:",omitempty"`
	SHA1        bool   `json:",omitempty"`
	Parts       int    `json:",omitempty"`
	Concurrency int    `json:",omitempty"`
	State       string `json:",omitempty"` // path of a store that does not exist yet
	Profile     string `json:",omitempty"` // start of the names of profiles
}

const (
	nameLimit = "limit"
	nameTus   = "tus-go"
	nameHTTP  = "net/http"
	nameCurl  = "curl"
	nameTusJS = "tus-js-client"
	// nameIdle does nothing: it shows what a process alone costs.
	nameIdle = "idle"
)

// client is somebody who can upload.
type client struct {
	name string
	// can tells what it is able to do.
	can func(workload) bool
	// inParts says that it can send a file in parallel parts.
	inParts bool
	// command makes the process for a task.
	command func(task) *exec.Cmd
}

// ourClients are those that this program itself plays.
func ourClients() []client {
	return []client{
		{name: nameLimit, can: always, inParts: true, command: played(nameLimit)},
		{name: nameTus, can: always, inParts: true, command: played(nameTus)},
		{name: nameHTTP, can: always, command: played(nameHTTP)},
	}
}

func always(workload) bool { return true }

// played is a client process that is a further copy of this program.
func played(name string) func(task) *exec.Cmd {
	return func(t task) *exec.Cmd { return copyOfThis(context.Background(), roleUpload, name, t.encode()) }
}

func (t task) encode() string {
	encoded, err := json.Marshal(t)
	if err != nil {
		panic(err) // strings and numbers
	}
	return string(encoded)
}

// upload is the client process.
func upload(ctx context.Context, name string, t task) error {
	switch name {
	case nameLimit:
		return uploadLimit(ctx, t)
	case nameTus:
		return profiled(t.Profile, func() error { return uploadTus(ctx, t) })
	case nameHTTP:
		return uploadPlain(ctx, t)
	case nameIdle:
		return nil
	}
	return fmt.Errorf("no client %q", name)
}
