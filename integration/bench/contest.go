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

// contender is a client in one workload, with a server of its own.
type contender struct {
	name    string
	client  client
	task    task
	store   string // folder of its tusd; empty for a sink
	server  *server
	samples []sample
	failure error // of a run; there are no further ones
}

// contest is one workload under way.
type contest struct {
	workload   workload
	source     string
	dir        string // for whatever else is needed
	contenders []*contender
}

// begin starts the servers. End the contest also after an error.
func (c *contest) begin(clients []client, profiles string) error {
	for _, who := range clients {
		if !who.can(c.workload) {
			continue
		}
		if err := c.add(who, who.name, 0, profiles); err != nil {
			return err
		}
	}
	if c.workload.parts == 0 {
		return nil
	}
	for _, who := range clients {
		if who.inParts && who.can(c.workload) {
			if err := c.add(who, partsName(who.name, c.workload.parts), c.workload.parts, profiles); err != nil {
				return err
			}
		}
	}
	return nil
}

// partsName is the name of a client that sends parts.
func partsName(client string, parts int) string { return fmt.Sprintf("%s, %d parts", client, parts) }

func (c *contest) add(who client, name string, parts int, profiles string) error {
	w := c.workload
	e := &contender{name: name, client: who}
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
		File:     c.source, Size: w.size, Chunk: w.chunk, SHA1: w.sha1, Parts: parts,
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

// end stops the servers and removes all files but the source.
func (c *contest) end() {
	for _, e := range c.contenders {
		if e.server != nil {
			e.server.stop()
		}
	}
	os.RemoveAll(c.dir)
}

// apart is the time between the starts of contenders that run side by side.
const apart = 500 * time.Millisecond

// round lets each contender run once. Each round begins with another one, so
// that nobody always runs in the wake of the same other. An error means that the
// contest is over; a contender that fails only leaves it.
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
			select { // some of them are busy for a moment when they start
			case <-time.After(time.Duration(i) * apart):
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

// once is one run, and the look whether it did what it should: at the bytes
// themselves after the first one, at their number always.
func (e *contender) once(ctx context.Context, w workload, source string) (sample, error) {
	before, err := e.server.counts()
	if err != nil {
		return sample{}, err
	}
	s, err := measure(ctx, e.client.command(e.task))
	if e.task.State != "" {
		os.Remove(e.task.State) // which only this library makes
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
