//go:build !unix

package pgstore_test

import "os/exec"

// startServer starts no server: set TUS_TEST_POSTGRES.
func startServer() (url string, stop func(), err error) { return "", nil, exec.ErrNotFound }
