package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// versionText returns the version of the module that tusup was built from: "(devel)" in a
// checkout without VCS stamping.
func versionText() string {
	version := "(unknown)"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	return fmt.Sprintf("tusup %s %s %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
