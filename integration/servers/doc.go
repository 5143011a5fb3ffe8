// Package servers runs tus servers of other projects on loopback, alone and behind proxies, and
// tests the client against each of them in many situations. The result is the matrix of
// docs/servers.md.
//
// A [Server] starts a server and reads what it stored. A [Proxy] starts a proxy before it;
// package proxy has the proxies. All processes end with the process that started them.
package servers
