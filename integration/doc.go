// Package integration tests the tus client against the real tusd v2, with real
// connections that break and real processes that are killed. It is a module of
// its own, so that users of the client do not get tusd's dependencies.
//
// Package tusdtest runs tusd, netfault is a network that fails on command,
// crash is an uploading process that can be killed, and child runs the
// processes of both. Package interop lets uploads change hands with
// tus-js-client, which npm installs; scale is about large things, soak kills
// for long, and bench compares with other clients.
package integration
