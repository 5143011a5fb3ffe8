package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/digest"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/files"
	"github.com/seed-175555ba/tus-go/examples/tusup/internal/manifest"
	"github.com/seed-175555ba/tus-go/tus"
)

// integrity are the flags for digests of whole files.
type integrity struct {
	Digest   string `help:"Compute a digest of each file, and print it: ${enum}. A file is read once more before its upload, and its digest becomes the metadata sha256." enum:"off,sha256" default:"off"`
	Manifest string `help:"Write the digests of the uploaded files to this file, in the format of sha256sum. Implies --digest sha256. See tusup verify." placeholder:"FILE"`

	complete []manifestEntry
}

// manifestEntry is an entry at its place in the manifest.
type manifestEntry struct {
	manifest.Entry
	number int
}

func (i *integrity) wantsDigest() bool { return i.Digest == "sha256" || i.Manifest != "" }

// checkIntegrity returns a usage error for flags of digests.
func (u *uploadCommand) checkIntegrity() error {
	metadata, err := u.metadata()
	if err != nil {
		return err
	}
	if _, set := metadata["sha256"]; set && u.wantsDigest() {
		return usagef("--metadata sha256 cannot be used with --digest and --manifest")
	}
	if u.Manifest != "" && !u.DryRun {
		if err := manifest.Writable(u.Manifest); err != nil {
			return usagef("--manifest: %w", err)
		}
	}
	return nil
}

// isManifest reports whether path is the file of --manifest, which will be replaced.
func (i *integrity) isManifest(path string) bool {
	return i.Manifest != "" && filepath.Base(path) == filepath.Base(i.Manifest) && sameFile(path, i.Manifest)
}

// recordDigest sets the digest of a complete upload: that of standard input is computed by the
// upload. The upload fails if a file changed after its digest was computed: the uploaded bytes
// may be others.
func (u *uploadCommand) recordDigest(f file, result *tus.Result, err error) (file, error) {
	switch {
	case err != nil || !u.wantsDigest():
		return f, err
	case f.digest == nil:
		f.sum = strings.TrimPrefix(result.Digest, "sha256:")
	default:
		if f.sum, err = f.digest.Sum(); err != nil {
			return f, changedError(err)
		}
	}
	if u.Manifest != "" {
		entry := manifest.Entry{Digest: f.sum, Name: f.name(), URL: withoutUser(result.URL)}
		u.complete = append(u.complete, manifestEntry{entry, f.number})
	}
	return f, nil
}

// changedError adds the error of package tus to one of package digest.
func changedError(err error) error {
	if errors.Is(err, digest.ErrChanged) {
		return fmt.Errorf("%w: %w", tus.ErrSourceChanged, err)
	}
	return fmt.Errorf("sha256: %w", files.WithoutPath(err))
}

// writeManifest writes the manifest of the complete uploads, in the order of the command
// line. It logs an error.
func (u *uploadCommand) writeManifest(out *output) error {
	if u.Manifest == "" {
		return nil
	}
	slices.SortFunc(u.complete, func(a, b manifestEntry) int { return a.number - b.number })
	entries := make([]manifest.Entry, len(u.complete))
	for i, e := range u.complete {
		entries[i] = e.Entry
	}
	if err := manifest.Write(u.Manifest, entries); err != nil {
		out.logf("--manifest: %v", err)
		return errFailed
	}
	return nil
}
