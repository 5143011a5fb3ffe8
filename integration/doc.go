// Package integration tests the tus client against the real tusd v2, with real
// connections that break and real processes that are killed. It is a separate
// module, so that users of the client do not get tusd's dependencies.
//
// Package tusdtest runs tusd. Package netfault is a proxy that injects network
// faults. Package crash runs an uploading process that can be killed, and child
// runs the processes of tusdtest and crash. Package interop resumes uploads of
// tus-js-client, which npm installs, and vice versa. Package contract tests the client
// against a table of requests and responses, written from the protocol, and servers
// against the servers and proxies of other projects. Package scale tests large files and
// many files, soak kills processes for a long time, fleet does so with workers that share
// uploads on NATS or PostgreSQL, whose servers package postgres runs, and bench compares
// this library with other clients.
package integration
