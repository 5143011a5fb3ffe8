// Package contract specifies in a table what a client of tus 1.0.0 sends and how it ends,
// and tests package tus against it. The scenarios follow the text of the protocol, and where
// that leaves a choice, what the clients of the tus project agree on. They use the exported
// names of package tus only.
//
// # Scenarios
//
// A scenario is data: a source, options, the exchanges of requests and responses, and the
// outcome. Each file with scenarios is one area. A scripted server plays the responses; a
// request that is not the next one of the script fails the test, and so does one that does not
// come. A scenario runs in a bubble of testing/synctest with connections in memory, so that
// waits of hours take no time.
//
// # Exchanges
//
// The exchanges are one line per request and one per response:
//
//	> PATCH /files/a | Upload-Offset: 0 | body 0-5
//	< 204 | Upload-Offset: 5
//
// The items of a request are:
//
//	Name: value   the field has this value; "*" stands for any
//	no Name       the request does not have the field
//	body 0-5      the body has these bytes of the source; without this item it is empty
//	trailer Name: value   the field follows the body
//
// The fields Upload-… and X-HTTP-Method-Override of a request are exactly those listed. The
// order of the pairs of Upload-Metadata is free, and the URLs in Upload-Concat may be relative.
// What the protocol requires of all requests (Tus-Resumable, Content-Type, one of Upload-Length
// and Upload-Defer-Length) is checked without being listed.
//
// The items of a response are fields and:
//
//	no Name       omits a field that each response has, which is Tus-Resumable
//	text words    the body
//
// Instead of a status, "cut" closes the connection without a response, and "hang" never
// responds.
//
// A request with "?>" is optional. Requests with a digit, such as "1>", are one of several
// sequences that run concurrently: the order of requests with different digits is free. A
// request without a digit follows when all sequences before it have ended. OPTIONS is not
// listed, because the protocol leaves it to the client when to ask: the server responds to it
// with the extensions of the scenario.
package contract
