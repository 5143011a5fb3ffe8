// Package interop tests on the real tusd that tus-js-client under Node resumes
// uploads of the Go client, and vice versa. It also tests that tus-js-client uploads to
// the server of tustest by the IETF draft.
//
// The test installs tus-js-client with npm into the user's cache directory, once.
// Without Node or npm, or if the registry is unreachable, the test is skipped with
// a message.
package interop
