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
// [Options].Create is set. PostgreSQL 12 or later is required.
//
// # Records
//
// A row has the ID, the revision and the record as [storage.Encode] returns it. Each change is
// one statement and one transaction that compares the revision. Nothing is locked between
// calls, and there are no advisory locks. A record that cannot be decoded is reported with its
// ID as an [*storage.Error], and does not hide others.
//
// Records of any valid size fit: 10,000 parts are about 1 MiB.
//
// # Leases and clocks
//
// A [Store] is a [storage.Clock]: Now returns the time of the server, which is the same for all
// workers. After a failover it is that of another machine, so synchronize the clocks of
// the servers. There are no notifications: who waits for a lease reads the record again from
// time to time.
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
// end an upload. A retry is safe if the lost attempt was committed: Put recognizes its own
// row. A later Put of the same revision conflicts, also with a Put that returned another
// error than [storage.ErrConflict]; read the record again, as package tus does.
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
// The store works behind PgBouncer in all pool modes, and behind similar poolers: it uses no named
// prepared statements, no session settings and no transactions of several statements,
// whatever the exec mode of the pool is. Calls of a pgx.QueryTracer are not made. If the pooler
// may route to a standby, Open may not notice it.
//
// # Maintenance
//
// Every renewal of a lease updates a row, so autovacuum must be on, as it is by default.
// [storage.DeleteExpired] deletes expired records. An upload URL alone may give
// access to the upload: grant the table to the role of the workers only.
package pgstore
