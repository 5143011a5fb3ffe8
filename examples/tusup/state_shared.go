package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/fleet"
	"github.com/seed-175555ba/tus-go/storage/pgstore"
	"github.com/seed-175555ba/tus-go/tus"
)

// isStateURL reports whether a value of --state is a URL.
func isStateURL(text string) bool { return strings.Contains(text, "://") }

func isPostgresURL(text string) bool {
	return strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://")
}

// stateError is a failure of the database that --state names.
type stateError struct{ err error }

func (e stateError) Error() string        { return "--state: " + e.err.Error() }
func (e stateError) Unwrap() error        { return e.err }
func (e stateError) Is(target error) bool { return target == tus.ErrStore }

// sharedState reports whether --state is a database of several machines, or the directory of
// an embedded NATS.
func (c *common) sharedState() bool {
	return isStateURL(c.State) || c.State != "" && fleet.IsEmbedded(c.State)
}

// checkState returns a usage error for a --state that cannot be a database. It does not repeat
// a URL, which may have a password.
func (c *common) checkState() error {
	switch {
	case !isStateURL(c.State) || isPostgresURL(c.State):
		return nil
	case !fleet.IsURL(c.State):
		return usagef("--state: must be a file, or a URL that begins with postgres://, nats:// or tls://")
	}
	if _, err := fleet.ParseAddress(c.State); err != nil {
		return usagef("--state: %w", err)
	}
	return nil
}

// openShared opens a resume database that machines share.
func (c *common) openShared(ctx context.Context, p *program) (*state, error) {
	if err := c.checkState(); err != nil {
		return nil, err
	}
	if isPostgresURL(c.State) {
		return openPostgres(ctx, c.State)
	}
	engine, err := c.openEngine(ctx, p, workerName())
	if err != nil {
		return nil, err
	}
	return &state{Store: engine.Store, shared: true, close: engine.Close}, nil
}

// openEngine opens the NATS of --state.
func (c *common) openEngine(ctx context.Context, p *program, name string) (*fleet.Engine, error) {
	parse := fleet.Embedded
	if isStateURL(c.State) {
		parse = fleet.ParseAddress
	}
	address, err := parse(c.State)
	if err != nil {
		return nil, usagef("--state: %w", err)
	}
	engine, err := fleet.Open(ctx, address, name, p.logf)
	if err != nil {
		return nil, stateError{err}
	}
	return engine, nil
}

// stateText returns where the queue is, without credentials.
func (c *common) stateText() string {
	if address, err := fleet.ParseAddress(c.State); isStateURL(c.State) && err == nil {
		return address.String()
	}
	return c.State
}

// workerName returns the default name of this process among those that share a database.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

// stateTable is the table of a PostgreSQL database.
const stateTable = "tus_uploads"

const (
	connectTimeout = 3 * time.Second
	// pingTimeout is how long a connection that was idle may take to respond.
	pingTimeout = 2 * time.Second
)

// openPostgres opens the table of a PostgreSQL database, and creates it if it does not exist.
func openPostgres(ctx context.Context, text string) (*state, error) {
	if authority, _, _ := strings.Cut(strings.SplitN(text, "://", 2)[1], "/"); strings.Count(authority, "@") > 1 {
		return nil, usagef("--state: special characters of a password must be escaped, such as %%40 for @")
	}
	config, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, usagef("--state: invalid PostgreSQL URL: %s", withoutURL(err))
	}
	config.PingTimeout = pingTimeout
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	if config.ConnConfig.ValidateConnect == nil { // a standby has old records
		config.ConnConfig.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, stateError{err}
	}
	store, err := pgstore.Open(ctx, pool, &pgstore.Options{Table: stateTable, Create: true})
	if err != nil {
		pool.Close()
		return nil, stateError{withGrant(err, config.ConnConfig.User)}
	}
	return &state{Store: store, shared: true, close: pool.Close}, nil
}

// insufficientPrivilege is the code of PostgreSQL for what a role must not do.
const insufficientPrivilege = "42501"

// withGrant adds to the refusal to create the table what another role has to run.
func withGrant(err error, user string) error {
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != insufficientPrivilege {
		return err
	}
	create := strings.Join(strings.Fields(pgstore.Schema(stateTable)), " ")
	quoted := `"` + strings.ReplaceAll(user, `"`, `""`) + `"`
	return fmt.Errorf("%w; as a role that may create tables, run: %s GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %s;", err, create, stateTable, quoted)
}

// withoutURL returns the cause of an error about a connection string, without what it quotes of
// that string: it may be a part of the password.
func withoutURL(err error) string {
	cause := errors.Unwrap(err)
	if cause == nil {
		return "see the documentation of PostgreSQL"
	}
	return regexp.MustCompile(` ?("[^"]*"|`+"`[^`]*`"+`)`).ReplaceAllLiteralString(cause.Error(), "")
}
