package natsstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-175555ba/tus-go/storage"
)

const (
	// requestTimeout bounds a request with all its attempts. After a server ends without
	// notice, the others elect a leader within 4 to 9 seconds.
	requestTimeout = 15 * time.Second

	// attemptTimeout is how long an attempt waits for a response. A request over a lost
	// connection, or without a leader, is never answered.
	attemptTimeout = time.Second

	// retryPause is the time between attempts.
	retryPause = 50 * time.Millisecond
)

var (
	errDisconnected = errors.New("not connected to a server")
	errNoLeader     = errors.New("the stream has no leader")
	errReply        = errors.New("unexpected response of the server")
	errUnanswered   = errors.New("no response")
	errTimeout      = fmt.Errorf("timeout after %v", requestTimeout)
)

// Error codes of the server for a temporary state. Package jetstream does not name them.
const (
	codeUnavailable      jetstream.ErrorCode = 10008
	codeNotLeader        jetstream.ErrorCode = 10009
	codeOffline          jetstream.ErrorCode = 10118
	codeSequenceNotReady jetstream.ErrorCode = 10163
)

// codeTooLarge is the error code for a message above a limit.
const codeTooLarge jetstream.ErrorCode = 10054

// reply is any response of JetStream.
type reply struct {
	Error *jetstream.APIError `json:"error"`

	Sequence uint64  `json:"seq"`     // of a stored message
	Message  *stored `json:"message"` // of STREAM.MSG.GET
	Total    int     `json:"total"`   // of STREAM.INFO: matching subjects

	*jetstream.StreamInfo // of STREAM.INFO and STREAM.CREATE
}

// stored is a message in the response to STREAM.MSG.GET.
type stored struct {
	Subject  string `json:"subject"`
	Sequence uint64 `json:"seq"`
	Header   []byte `json:"hdrs"`
	Data     []byte `json:"data"`
}

// infoRequest is the body of STREAM.INFO.
type infoRequest struct {
	Filter string `json:"subjects_filter,omitempty"`
	Offset int    `json:"offset,omitempty"`
}

// info reads the state of the stream from its leader.
func (s *Store) info(ctx context.Context, req infoRequest) (*reply, error) {
	return s.call(ctx, "STREAM.INFO."+s.stream(), req)
}

// getRequest is the body of STREAM.MSG.GET.
type getRequest struct {
	Last     string `json:"last_by_subj,omitempty"`
	Sequence uint64 `json:"seq,omitempty"`
	Next     string `json:"next_by_subj,omitempty"`
}

// get reads a message from the leader of the stream. It returns nil if there is none.
func (s *Store) get(ctx context.Context, req getRequest) (*message, error) {
	r, err := s.call(ctx, "STREAM.MSG.GET."+s.stream(), req)
	if isAPIError(err, jetstream.JSErrCodeMessageNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if r.Message == nil {
		return nil, errReply
	}
	m := &message{subject: r.Message.Subject, sequence: r.Message.Sequence, data: r.Message.Data}
	if len(r.Message.Header) > 0 {
		// A record with an invalid header is corrupt.
		m.header, _ = nats.DecodeHeadersMsg(r.Message.Header)
	}
	return m, nil
}

// call sends a request to the API of JetStream.
func (s *Store) call(ctx context.Context, method string, body any) (*reply, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return s.request(ctx, &nats.Msg{Subject: jetstream.DefaultAPIPrefix + method, Data: data})
}

// request sends a message and returns the response. Without a response it resends the
// message, so an earlier attempt may have succeeded although the last one failed.
func (s *Store) request(ctx context.Context, m *nats.Msg) (*reply, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, requestTimeout, errTimeout)
	defer cancel()
	for again := false; ; again = true {
		r, err := s.attempt(ctx, m, again)
		if err == nil || !temporary(err) {
			return r, err
		}
		if ctx.Err() == nil {
			_ = sleep(ctx, retryPause)
		}
		if ctx.Err() != nil {
			return nil, unanswered(ctx, err)
		}
	}
}

// unanswered returns the error for a context that is done, with the error of the last
// attempt.
func unanswered(ctx context.Context, last error) error {
	err := ctx.Err()
	if context.Cause(ctx) == errTimeout {
		err = errTimeout
	}
	return fmt.Errorf("%w: %w", err, last)
}

// attempt sends a message once. again is true if an earlier attempt failed.
func (s *Store) attempt(ctx context.Context, m *nats.Msg, again bool) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	resp, err := s.exchange(ctx, m, again)
	switch {
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionDraining):
		return nil, fmt.Errorf("%w: %w", storage.ErrClosed, err)
	case errors.Is(err, nats.ErrMaxPayload):
		return nil, fmt.Errorf("%w: %w", storage.ErrTooLarge, err)
	case err != nil && ctx.Err() != nil:
		return nil, errUnanswered
	case err != nil:
		return nil, err
	}
	r := new(reply)
	if err := json.Unmarshal(resp.Data, r); err != nil {
		return nil, errReply
	}
	switch {
	case r.Error == nil:
	case r.Error.ErrorCode == codeTooLarge:
		return nil, fmt.Errorf("%w: %w", storage.ErrTooLarge, r.Error)
	default:
		return nil, r.Error
	}
	// Without a leader, any server that has the stream answers STREAM.INFO.
	if r.StreamInfo != nil && r.Cluster != nil && r.Cluster.Leader == "" {
		return nil, errNoLeader
	}
	return r, nil
}

// exchange sends a message and waits for the response. Package nats ignores the context while
// it connects, which takes seconds if a server does not respond.
func (s *Store) exchange(ctx context.Context, m *nats.Msg, again bool) (*nats.Msg, error) {
	type result struct {
		resp *nats.Msg
		err  error
	}
	results := make(chan result, 1)
	go func() {
		// While the connection is lost, package nats would buffer the message and send it later.
		if !s.conn.IsConnected() && !s.conn.IsClosed() && !s.conn.IsDraining() {
			results <- result{err: errDisconnected}
			return
		}
		if err := s.conn.LastError(); again && errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), m.Subject) {
			results <- result{err: err} // why there was no response
			return
		}
		resp, err := s.conn.RequestMsgWithContext(ctx, m)
		results <- result{resp, err}
	}()
	select {
	case r := <-results:
		return r.resp, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// temporary reports whether an attempt failed because of a temporary state.
func temporary(err error) bool {
	for _, t := range []error{
		errDisconnected, errNoLeader, errUnanswered,
		nats.ErrNoResponders, nats.ErrConnectionReconnecting, nats.ErrDisconnected, nats.ErrReconnectBufExceeded, nats.ErrTimeout,
	} {
		if errors.Is(err, t) {
			return true
		}
	}
	return isAPIError(err, codeUnavailable, codeNotLeader, codeOffline, codeSequenceNotReady)
}

// sleep waits, unless ctx is done.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
