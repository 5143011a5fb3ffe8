package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// contender is a client in one workload, with its own server.
type contender struct {
	name    string
	client  client
	task    task
	store   string // directory of its tusd; empty for a sink
	server  *server
	samples []sample
	failure error // of a run, which was the last
}

// contest runs all clients on one workload.
type contest struct {
	workload   workload
	source     string
	dir        string // for stores and state
	contenders []*contender
}

// begin starts the servers. The caller must call end, also after an error.
func (c *contest) begin(clients []client, profiles string) error {
	for _, program := range clients {
		if !program.can(c.workload) {
			continue
		}
		if err := c.add(program, program.name, 0, profiles); err != nil {
			return err
		}
	}
	if c.workload.parts == 0 {
		return nil
	}
	for _, program := range clients {
		if program.inParts && program.can(c.workload) {
			if err := c.add(program, partsName(program.name, c.workload.parts), c.workload.parts, profiles); err != nil {
				return err
			}
		}
	}
	return nil
}

// partsName returns the row name of a client that sends parts.
func partsName(client string, parts int) string { return fmt.Sprintf("%s, %d parts", client, parts) }

func (c *contest) add(program client, name string, parts int, profiles string) error {
	w := c.workload
	e := &contender{name: name, client: program}
	c.contenders = append(c.contenders, e)
	config := serverConfig{Link: w.link}
	if w.server == toTusd {
		e.store = filepath.Join(c.dir, fmt.Sprint("store-", len(c.contenders)))
		if err := os.Mkdir(e.store, 0o700); err != nil {
			return err
		}
		config.Store = e.store
	}
	if w.sha1 {
		config.File, config.Chunk = c.source, w.chunk
	}
	var err error
	if e.server, err = startServer(config); err != nil {
		return err
	}
	e.task = task{
		Endpoint: e.server.endpoint,
		File:     c.source, Size: w.size, Chunk: w.chunk, SHA1: w.sha1, SHA256: w.sha256, Parts: parts,
	}
	if w.files > 0 {
		e.task.Concurrency = concurrent
		e.task.State = filepath.Join(c.dir, fmt.Sprint("state-", len(c.contenders), ".db"))
	}
	if profiles != "" {
		e.task.Profile = filepath.Join(profiles, w.id)
		if parts > 0 {
			e.task.Profile += "-parts"
		}
	}
	return nil
}

// end stops the servers and removes all files except the source.
func (c *contest) end() {
	for _, e := range c.contenders {
		if e.server != nil {
			e.server.stop()
		}
	}
	os.RemoveAll(c.dir)
}

// startInterval is the time between the starts of contenders that run side by
// side.
const startInterval = 500 * time.Millisecond

// round runs each contender once. Each round starts with a different one, so that
// the order has no effect. An error ends the contest; a contender that fails is
// only excluded from further rounds.
func (c *contest) round(ctx context.Context, number int) error {
	if !c.workload.sideBySide {
		n := len(c.contenders)
		for i := range n {
			if err := c.contenders[(number+i)%n].run(ctx, c.workload, c.source); err != nil {
				return err
			}
		}
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	for i, e := range c.contenders {
		group.Go(func() error {
			select { // some clients need much CPU when they start
			case <-time.After(time.Duration(i) * startInterval):
				return e.run(ctx, c.workload, c.source)
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}
	return group.Wait()
}

func (e *contender) run(ctx context.Context, w workload, source string) error {
	if e.failure != nil {
		return nil
	}
	s, err := e.once(ctx, w, source)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		e.failure = err
	default:
		e.samples = append(e.samples, s)
	}
	return nil
}

// once runs the client once. It checks the number of bytes, and in the first run
// their content.
func (e *contender) once(ctx context.Context, w workload, source string) (sample, error) {
	before, err := e.server.counts()
	if err != nil {
		return sample{}, err
	}
	s, err := measure(ctx, e.client.command(e.task))
	if e.task.State != "" {
		os.Remove(e.task.State) // only this library creates it
	}
	if err != nil {
		return s, err
	}
	after, err := e.server.counts()
	if err != nil {
		return s, err
	}
	s.requests, s.bytes = after.Requests-before.Requests, after.Bytes-before.Bytes
	if least := w.size * int64(max(1, w.files)); s.bytes < least {
		return s, fmt.Errorf("%d bytes arrived of %d", s.bytes, least)
	}
	if e.store == "" {
		return s, nil
	}
	if len(e.samples) == 0 {
		err = compare(source, e.store)
	}
	return s, errors.Join(err, empty(e.store))
}
