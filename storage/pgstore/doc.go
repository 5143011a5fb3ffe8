// Package pgstore keeps the records of uploads in a table of a PostgreSQL database, for
// workers on several machines. It is a module of its own, so that only its users depend on
// the driver.
//
//	pool, err := pgxpool.New(ctx, "postgres://user:password@db1,db2/uploads?target_session_attrs=read-write")
//	defer pool.Close()
//	store, err := pgstore.Open(ctx, pool, &pgstore.Options{Create: true})
//	client, err := tus.NewClient(endpoint, &tus.Options{Store: store, RequireStore: true})
//
// The table is created by migrations, with the statements of [Schema], or by [Open] if
// [Options].Create is set. The store is tested with PostgreSQL 15, and needs 12 or later.
//
// # Records
//
// A row has the ID, the revision and the record as [storage.Encode] returns it. Each change is
// one statement and one transaction, which compares what is stored with what was read. Nothing
// is locked between calls, and there are no advisory locks. A record that cannot be decoded is reported with its
// ID as an [*storage.Error], and does not hide others.
//
// Records of any valid size fit: 10,000 parts are about 1 MiB.
//
// # Leases and clocks
//
// A [Store] is a [storage.Clock]: Now returns the time of the server, which is the same for all
// workers. After a failover it is that of another machine, so synchronize the clocks of
// the servers. The store does not use LISTEN and NOTIFY: an upload that waits for a lease
// polls.
//
// # Durability
//
// Put and Delete return when the change is durable. The store sets synchronous_commit for
// its transactions to at least "on", so a weaker default of the database or the role loses
// nothing. A failover loses acknowledged changes unless the primary waits for a standby:
// set synchronous_standby_names, such as 'ANY 1 (db2, db3)'. With fsync=off, a crash of the
// machine loses changes. Do not cancel a statement of the store with pg_cancel_backend while
// it waits for a standby: PostgreSQL then reports success before the standby has the change.
//
// # Failures and failover
//
// A statement that fails because of its connection, or because the server starts, stops or
// only allows reading, is retried over other connections for about 10 seconds, or until
// the context is done. Each attempt lasts at most 5 seconds. So short failovers do not
// end an upload. A retry is safe if the lost attempt was committed: each call of Put has a
// random token, by which it recognizes its own row. Another call with the same revision is
// another change. It conflicts if the first one was stored, also if that returned an error.
// Then read the record again, as package tus does.
//
// With several hosts, the driver connects to the first that allows writing. This requires
// target_session_attrs=read-write or primary. Two settings make the pool notice a server that
// vanished without closing its connections:
//
//	config, err := pgxpool.ParseConfig("postgres://db1,db2/uploads?target_session_attrs=read-write&connect_timeout=3")
//	config.PingTimeout = 2 * time.Second
//
// # PgBouncer
//
// The store works behind PgBouncer in all pool modes, and behind similar poolers. Whatever the
// exec mode of the pool is, the store uses no named prepared statements, no session settings
// and no transactions of several statements. Therefore it does not call a QueryTracer of the
// pool. After a failed login, PgBouncer waits 15 seconds before the next one: set
// server_login_retry to 1. It must never connect to a standby: Open only checks one connection.
//
// # Maintenance
//
// Every renewal of a lease updates a row, so autovacuum must be on, as it is by default.
// Call [storage.DeleteExpired] from time to time, with the time of Now. An upload URL alone may give
// access to the upload: grant the table to the role of the workers only.
package pgstore
