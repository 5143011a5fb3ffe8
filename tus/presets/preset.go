package presets

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-175555ba/tus-go/tus"
)

// Preset has the rules of a service. Zero values are no rules.
type Preset struct {
	// Name is the name of the service.
	Name string
	// Documentation is the URL of the page with the rules.
	Documentation string

	// ChunkSize is the size of chunks in bytes if UploadOptions.ChunkSize is 0. A preset with
	// one of the next three needs it.
	ChunkSize int64
	// ChunkMin and ChunkMax are the minimum and maximum size of a chunk in bytes, and
	// ChunkMultiple divides it. Only ChunkMax applies to the last chunk.
	ChunkMin, ChunkMax, ChunkMultiple int64

	// Metadata are the required keys. Their values must not be empty.
	Metadata []string
	// Header are the header fields that requests need: at least one of each list.
	Header [][]string
	// SizeRequired is set if the size must be known when the upload is created. The upload of
	// a source of unknown size then fails with an error matching [tus.ErrUnsupported], unless
	// UploadOptions.BufferLimit permits to read it first.
	SizeRequired bool
	// ExternalCreation is set if a backend or an API of the service creates the upload, and
	// the client only sends its bytes, with [tus.Client.Resume].
	ExternalCreation bool

	// ResultHeader is the response header field that has the ID of the upload in the service:
	// see [Preset.ID].
	ResultHeader string
}

// Apply sets options that are zero as the service requires, and returns an error matching
// [tus.ErrInvalidInput] if others break a rule. Call it before [tus.NewClient], and for the
// options of each upload; a second call with the same client options changes nothing in them.
// A nil upload is for a client that only creates uploads ([tus.Client.Create]), or whose
// uploads are not known yet.
//
// Header fields may be in the options of the client or of the upload. They are not checked if
// something else may add them: a BeforeRequest hook or an HTTPClient.
//
// If ExternalCreation is set, an upload with these options fails with an error matching
// [tus.ErrInvalidInput] instead of creating one.
func (p Preset) Apply(client *tus.Options, upload *tus.UploadOptions) error {
	if client == nil {
		return fmt.Errorf("%w: client options are nil", tus.ErrInvalidInput)
	}
	if upload != nil {
		if err := p.check(client, upload); err != nil {
			return err
		}
		upload.ChunkSize = cmp.Or(upload.ChunkSize, p.ChunkSize)
		if p.ExternalCreation {
			upload.Hooks.BeforeRequest = p.refuseCreation(upload.Hooks.BeforeRequest)
		}
	}
	if p.ResultHeader != "" && !slices.ContainsFunc(client.KeepHeaders, func(name string) bool { return strings.EqualFold(name, p.ResultHeader) }) {
		client.KeepHeaders = append(slices.Clone(client.KeepHeaders), p.ResultHeader)
	}
	if p.ExternalCreation && client.Capabilities == nil {
		// OPTIONS describes an endpoint, and an upload URL is none.
		client.Capabilities = &tus.Capabilities{Versions: []string{"1.0.0"}}
	}
	return nil
}

// ID returns the value of ResultHeader in the response to the creation or, if that has none,
// to the last PATCH; "" if neither has one. If the client has a Store, later sessions have the
// field of the creation, too.
func (p Preset) ID(result *tus.Result) string {
	if p.ResultHeader == "" || result == nil {
		return ""
	}
	for _, resp := range []*tus.Response{result.Creation, result.LastPatch} {
		if resp == nil {
			continue
		}
		if id := resp.Header.Get(p.ResultHeader); id != "" {
			return id
		}
	}
	return ""
}

// check returns an error for the first rule that options break.
func (p Preset) check(client *tus.Options, upload *tus.UploadOptions) error {
	if err := p.checkChunks(upload); err != nil {
		return err
	}
	if p.SizeRequired && upload.DeferLength {
		return p.refusal("UploadOptions.DeferLength is set, but the size is required at the creation")
	}
	if !p.ExternalCreation {
		for _, key := range p.Metadata {
			// Without metadata, the name of the source is sent as "filename".
			if upload.Metadata[key] == "" && (upload.Metadata != nil || key != "filename") {
				return p.refusal("UploadOptions.Metadata has no %s", key)
			}
		}
	}
	if client.HTTPClient != nil || client.Hooks.BeforeRequest != nil || upload.Hooks.BeforeRequest != nil {
		return nil
	}
	for _, names := range p.Header {
		if !slices.ContainsFunc(names, func(name string) bool { return hasField(client.Header, upload.Header, name) }) {
			return p.refusal("Options.Header has no %s", strings.Join(names, " or "))
		}
	}
	return nil
}

// hasField reports whether requests have a header field. The header of an upload replaces
// fields of the client, or removes them.
func hasField(client, upload http.Header, name string) bool {
	for _, h := range []http.Header{upload, client} {
		for field, values := range h {
			if strings.EqualFold(field, name) {
				return cmp.Or(values...) != ""
			}
		}
	}
	return false
}

// checkChunks returns an error for the first option that makes a chunk of a size that the
// service refuses.
func (p Preset) checkChunks(o *tus.UploadOptions) error {
	if p.ChunkMin == 0 && p.ChunkMax == 0 && p.ChunkMultiple == 0 {
		return nil
	}
	size := cmp.Or(o.ChunkSize, p.ChunkSize)
	if size == 0 {
		return p.refusal("UploadOptions.ChunkSize is 0, but chunks must have %s bytes", p.chunkRule())
	}
	var first int64
	if o.FirstChunkInCreation {
		first = min(o.CreationLimit, size)
	}
	for _, chunk := range []struct {
		option string
		bytes  int64
	}{{"ChunkSize", size}, {"MinChunkSize", o.MinChunkSize}, {"CreationLimit", first}, {"StopAt", o.StopAt % size}} {
		if chunk.bytes != 0 && !p.accepts(chunk.bytes) {
			return p.refusal("UploadOptions.%s makes a chunk of %d bytes, but chunks must have %s bytes", chunk.option, chunk.bytes, p.chunkRule())
		}
	}
	return nil
}

// accepts reports whether a chunk that is not the last may have n bytes.
func (p Preset) accepts(n int64) bool {
	return n >= max(p.ChunkMin, 1) && (p.ChunkMax == 0 || n <= p.ChunkMax) && n%max(p.ChunkMultiple, 1) == 0
}

// chunkRule describes the sizes that a chunk may have.
func (p Preset) chunkRule() string {
	if p.ChunkMin == p.ChunkMax && p.ChunkMin > 0 {
		return fmt.Sprintf("exactly %d", p.ChunkMin)
	}
	var rules []string
	for _, rule := range []struct {
		format string
		bytes  int64
	}{{"at least %d", p.ChunkMin}, {"at most %d", p.ChunkMax}, {"a multiple of %d", p.ChunkMultiple}} {
		if rule.bytes != 0 {
			rules = append(rules, fmt.Sprintf(rule.format, rule.bytes))
		}
	}
	return strings.Join(rules, ", ")
}

// refuseCreation returns a hook that fails an upload before it is created.
func (p Preset) refuseCreation(next func(*http.Request) error) func(*http.Request) error {
	return func(r *http.Request) error {
		if r.Method == http.MethodPost && r.Header.Get("Upload-Offset") == "" { // a PATCH sent as POST has an offset
			return p.refusal("the client cannot create uploads: use Client.Resume with the URL that the service's API returns")
		}
		if next == nil {
			return nil
		}
		return next(r)
	}
}

// refusal returns an error matching tus.ErrInvalidInput.
func (p Preset) refusal(format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", tus.ErrInvalidInput, cmp.Or(p.Name, "preset"), fmt.Sprintf(format, args...))
}
