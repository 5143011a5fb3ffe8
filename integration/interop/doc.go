// Package interop tests that an upload can change hands: one that the Go client
// began is finished by tus-js-client under Node, and the other way round, on the real
// tusd.
//
// The test installs tus-js-client with npm into the user's cache folder, once. Where
// there is no Node or npm, or the registry cannot be reached, it is skipped and says
// so.
package interop
