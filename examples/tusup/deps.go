//go:build deps

package main

import (
	_ "github.com/BurntSushi/toml"
	_ "github.com/alecthomas/mango-kong"
	_ "github.com/bmatcuk/doublestar/v4"
	_ "github.com/charmbracelet/x/vt"
	_ "github.com/coreos/go-systemd/v22/daemon"
	_ "github.com/creack/pty"
	_ "github.com/fsnotify/fsnotify"
	_ "github.com/gabriel-vasile/mimetype"
	_ "github.com/invopop/jsonschema"
	_ "github.com/jotaen/kong-completion"
	_ "github.com/muesli/roff"
	_ "github.com/santhosh-tekuri/jsonschema/v6"
	_ "github.com/vbauerster/mpb/v8"
	_ "github.com/vbauerster/mpb/v8/decor"
	_ "golang.org/x/time/rate"
)
