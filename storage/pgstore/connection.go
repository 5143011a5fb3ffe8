package pgstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/puddle/v2"

	"github.com/seed-175555ba/tus-go/storage"
)

const (
	// attemptTimeout bounds one attempt of a statement, so that a frozen connection does
	// not use up the time that a lease leaves.
	attemptTimeout = 5 * time.Second
	// retryTime is how long attempts are repeated. A failover by software takes seconds.
	retryTime = 10 * time.Second

	firstPause   = 50 * time.Millisecond
	longestPause = time.Second
)

// Error codes of PostgreSQL, and classes of them.
const (
	readOnlyTransaction  = "25006"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	tooManyConnections   = "53300"
	adminShutdown        = "57P01"
	crashShutdown        = "57P02"
	cannotConnectNow     = "57P03"
	idleSessionTimeout   = "57P05"
	classConnection      = "08" // also of pgbouncer without a server
)

// A param is a parameter of a statement, in binary format.
type param struct {
	oid   uint32
	value []byte
}

func text(s string) param { return param{pgtype.TextOID, []byte(s)} }

func bytea(b []byte) param { return param{pgtype.ByteaOID, b} }

func bigint(n int64) param {
	return param{pgtype.Int8OID, binary.BigEndian.AppendUint64(nil, uint64(n))}
}

// integer is the reverse of bigint.
func integer(value []byte) int64 { return int64(binary.BigEndian.Uint64(value)) }

// run runs a statement in a transaction of its own, and again if that may help. The statement
// may be run again although it was committed: the connection may have been lost before the
// result arrived. The caller adds the ID to the error.
func (s *Store) run(ctx context.Context, statement string, params ...param) (*pgconn.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	start := time.Now()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		result, again, err := s.try(ctx, statement, params...)
		if err == nil || !again || time.Since(start) >= retryTime {
			return result, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-timer.C:
		}
	}
}

// try makes one attempt to run a statement, and reports whether another one may help.
//
// A statement is parsed, bound and executed in one request and without a name, and everything
// is in binary. So neither settings of the session nor a pooler that changes the session
// between two statements matter.
func (s *Store) try(ctx context.Context, statement string, params ...param) (result *pgconn.Result, again bool, err error) {
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	conn, err := s.pool.Acquire(attempt)
	if err != nil {
		again, _ = judge(err)
		return nil, again && ctx.Err() == nil, clean(ctx, err)
	}
	defer conn.Release()
	result, err = execute(attempt, conn, statement, params)
	if err != nil {
		var leave bool
		if again, leave = judge(err); leave {
			// Without Hijack, the pool counts the connection until it is closed, which
			// takes 15 seconds if it is frozen.
			_ = conn.Hijack().Close(attempt)
		}
		return nil, again && ctx.Err() == nil, clean(ctx, err)
	}
	return result, false, nil
}

func execute(ctx context.Context, conn *pgxpool.Conn, statement string, params []param) (*pgconn.Result, error) {
	values, oids := make([][]byte, len(params)), make([]uint32, len(params))
	for i, p := range params {
		values[i], oids[i] = p.value, p.oid
	}
	binaryFormat := []int16{1} // of all parameters and columns
	result := conn.Conn().PgConn().ExecParams(ctx, statement, values, oids, binaryFormat, binaryFormat).Read()
	return result, result.Err
}

// judge reports whether a statement may succeed if it is run again, and whether that needs
// another connection.
func judge(err error) (again, leave bool) {
	var failure *pgconn.PgError
	if !errors.As(err, &failure) {
		// The connection failed or took too long, or there is none.
		return !errors.Is(err, puddle.ErrClosedPool), true
	}
	switch failure.Code {
	case serializationFailure, deadlockDetected:
		return true, false
	case readOnlyTransaction, tooManyConnections, adminShutdown, crashShutdown, cannotConnectNow, idleSessionTimeout:
		return true, true
	}
	return strings.HasPrefix(failure.Code, classConnection), strings.HasPrefix(failure.Code, classConnection)
}

// clean returns an error in terms of package storage and of ctx, which is the caller's.
func clean(ctx context.Context, err error) error {
	switch done := ctx.Err(); {
	case errors.Is(err, puddle.ErrClosedPool):
		return storage.ErrClosed
	case done != nil && !errors.Is(err, done):
		return fmt.Errorf("%w: %w", done, err)
	case done == nil && errors.Is(err, context.DeadlineExceeded):
		// The caller must not take it for that of ctx.
		return fmt.Errorf("no connection or no response in time: %s", err.Error())
	}
	return err
}
