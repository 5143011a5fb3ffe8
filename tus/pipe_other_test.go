//go:build !unix

package tus_test

import "os"

// makePipe creates a directory, as there are no named pipes.
func makePipe(path string) error { return os.Mkdir(path, 0o700) }
