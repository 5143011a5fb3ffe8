package natsstore

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-175555ba/tus-go/storage"
)

// markerTTL is how long the marker of a deleted record is kept. Nothing depends on it after
// the deletion, because sequences are not reused.
const markerTTL = "10s"

// Find implements [storage.Store].
func (s *Store) Find(ctx context.Context, fingerprint string) ([]storage.Record, error) {
	subjects, err := s.subjects(ctx, s.withFingerprint(fingerprint))
	if err != nil {
		return nil, s.errorOf("", err)
	}
	var found []storage.Record
	var unreadable []error
	for _, subject := range subjects {
		m, err := s.get(ctx, getRequest{Last: subject})
		if err != nil {
			return nil, s.errorOf("", err)
		}
		if m == nil || m.isMarker() {
			continue
		}
		rec, err := s.unpack(m)
		if err != nil {
			unreadable = append(unreadable, s.errorOf(s.id(m), err))
		} else if rec.Fingerprint == fingerprint {
			found = append(found, rec)
			s.positions.set(rec.ID, rec.Revision, m.sequence)
		}
	}
	slices.SortFunc(found, storage.MostRecentFirst)
	return found, errors.Join(unreadable...)
}

// subjects returns the subjects that match the filter. The server returns up to 100,000 at
// a time, in their order.
func (s *Store) subjects(ctx context.Context, filter string) ([]string, error) {
	var all []string
	for {
		r, err := s.info(ctx, infoRequest{Filter: filter, Offset: len(all)})
		if err != nil {
			return nil, err
		}
		if r.StreamInfo == nil {
			return nil, errReply
		}
		for subject := range r.State.Subjects {
			all = append(all, subject)
		}
		if len(r.State.Subjects) == 0 || len(all) >= r.Total {
			return all, nil
		}
	}
}

// Put implements [storage.Store]. A change is one message, which the server stores if the
// sequence of the last one is that of the revision.
func (s *Store) Put(ctx context.Context, rec storage.Record) (storage.Record, error) {
	if err := ctx.Err(); err != nil {
		return storage.Record{}, err
	}
	next := rec
	next.Revision++
	m, err := s.pack(next)
	if err != nil {
		return storage.Record{}, err
	}
	filter := m.Subject
	if rec.Revision == 0 {
		filter = s.withID(rec.ID) // also a record with another fingerprint conflicts
	}
	sequence, known := s.positions.get(rec.ID, rec.Revision)
	if known || rec.Revision == 0 {
		sequence, err = s.send(ctx, m, filter, sequence)
	}
	if !known && rec.Revision != 0 || changed(err) {
		sequence, err = s.publish(ctx, m, filter, func(last *message) error {
			switch revision, err := last.revision(); {
			case err != nil:
				return err
			case revision != rec.Revision:
				return storage.ErrConflict
			}
			return nil
		})
	}
	if err != nil {
		s.positions.forget(rec.ID)
		return storage.Record{}, s.errorOf(rec.ID, err)
	}
	s.positions.set(next.ID, next.Revision, sequence)
	return next.Clone(), nil
}

// Delete implements [storage.Store].
func (s *Store) Delete(ctx context.Context, id string, revision int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if (storage.Record{ID: id, Fingerprint: id}).Validate() != nil {
		return nil // no record has this ID
	}
	marker := nats.NewMsg("")
	marker.Header.Set(operationHeader, deleted)
	marker.Header.Set(attemptHeader, storage.NewID())
	marker.Header.Set(jetstream.MsgTTLHeader, markerTTL)
	_, err := s.publish(ctx, marker, s.withID(id), func(last *message) error {
		if last == nil {
			return errDeleted
		}
		marker.Subject = last.subject
		if last.isMarker() {
			if last.header.Get(attemptHeader) == marker.Header.Get(attemptHeader) {
				return nil // the server may have been killed before it removed the record
			}
			return errDeleted
		}
		switch rec, err := s.unpack(last); {
		case err != nil && revision == 0:
			return nil
		case err != nil:
			return err
		case rec.Revision != revision:
			return storage.ErrConflict
		}
		return nil
	})
	s.positions.forget(id)
	switch {
	case errors.Is(err, errDeleted):
		return nil
	case err != nil:
		return s.errorOf(id, err)
	}
	return nil
}

// errDeleted ends a Delete of a record that is not stored.
var errDeleted = errors.New("record is deleted")

// publish stores m if check returns nil for the last message that matches the filter. It
// returns the sequence of m.
//
// If the response to an attempt is lost, although the message was stored, the next attempt
// conflicts with it. The random header then identifies the message.
func (s *Store) publish(ctx context.Context, m *nats.Msg, filter string, check func(last *message) error) (uint64, error) {
	for pause := time.Millisecond; ; pause = min(2*pause, retryPause) {
		last, err := s.get(ctx, getRequest{Last: filter})
		if err != nil {
			return 0, err
		}
		if last != nil && !last.isMarker() && last.header.Get(attemptHeader) == m.Header.Get(attemptHeader) {
			return last.sequence, nil
		}
		if err := check(last); err != nil {
			return 0, err
		}
		expected, sequence := filter, uint64(0)
		if last != nil {
			sequence = last.sequence
		}
		if last != nil && !last.isMarker() {
			expected = last.subject
		}
		sequence, err = s.send(ctx, m, expected, sequence)
		if !changed(err) {
			return sequence, err
		}
		if err := sleep(ctx, rand.N(pause)); err != nil { // another change may be in flight
			return 0, err
		}
	}
}

// send stores m if the sequence of the last message that matches the filter is the expected
// one, and removes the message of the same subject before it. It returns the sequence of m.
//
// With replicas, the server compares the text of the filter with those of changes in flight.
// So all calls that create a record with one ID must use the same filter, whatever the
// fingerprint, and so must all calls that change or delete it.
func (s *Store) send(ctx context.Context, m *nats.Msg, filter string, expected uint64) (uint64, error) {
	m = &nats.Msg{Subject: m.Subject, Header: maps.Clone(m.Header), Data: m.Data} // an earlier one may be in use
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(expected, 10))
	m.Header.Set(jetstream.ExpectedLastSubjSeqSubjHeader, filter)
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	r, err := s.request(ctx, m)
	if err != nil {
		return 0, err
	}
	if r.Sequence == 0 {
		return 0, errReply
	}
	return r.Sequence, nil
}

// changed reports whether the server refused a message because of another one.
func changed(err error) bool {
	return isAPIError(err, jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}
