package presets_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/presets"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mib = 1 << 20

// bucket is the metadata that Supabase requires.
func bucket() tus.Metadata { return tus.Metadata{"bucketName": "films", "objectName": "movie.mp4"} }

func token() tus.Options {
	return tus.Options{Header: http.Header{"Authorization": {"Bearer token"}}}
}

func TestApply_ZeroPresetChangesNothing(t *testing.T) {
	for _, upload := range []tus.UploadOptions{{}, {ChunkSize: 7, MinChunkSize: 1, StopAt: 3, DeferLength: true}} {
		client, before := tus.Options{}, upload
		if err := (presets.Preset{}).Apply(&client, &upload); err != nil {
			t.Error(err)
		}
		if !reflect.DeepEqual(upload, before) || !reflect.DeepEqual(client, tus.Options{}) {
			t.Errorf("options are %+v, %+v", client, upload)
		}
	}
}

func TestApply_SetsOnlyZeroOptions(t *testing.T) {
	stream := presets.CloudflareStream()
	names := append(make([]string, 0, 2), "X-Other")
	client := token()
	client.KeepHeaders = names
	for _, size := range []int64{0, stream.ChunkMin, stream.ChunkMax} {
		upload := tus.UploadOptions{ChunkSize: size}
		if err := stream.Apply(&client, &upload); err != nil {
			t.Fatal(err)
		}
		if size > 0 && upload.ChunkSize != size || size == 0 && upload.ChunkSize != stream.ChunkSize {
			t.Errorf("the chunk size is %d, and was %d", upload.ChunkSize, size)
		}
	}
	if want := []string{"X-Other", "Stream-Media-Id"}; !slices.Equal(client.KeepHeaders, want) || names[:2][1] != "" {
		t.Errorf("KeepHeaders are %v, those of the caller %v", client.KeepHeaders, names[:2])
	}
	client.KeepHeaders = []string{"stream-media-id"}
	if err := stream.Apply(&client, nil); err != nil || len(client.KeepHeaders) != 1 {
		t.Errorf("KeepHeaders are %v, %v", client.KeepHeaders, err)
	}
}

func TestApply_BrokenRuleNamesOption(t *testing.T) {
	for name, test := range map[string]struct {
		preset presets.Preset
		upload tus.UploadOptions
		want   string
	}{
		"other chunk size":    {presets.Supabase(), tus.UploadOptions{ChunkSize: mib}, "ChunkSize makes a chunk of 1048576 bytes, but chunks must have exactly 6291456"},
		"negative chunk size": {presets.Supabase(), tus.UploadOptions{ChunkSize: -1}, "ChunkSize makes a chunk of -1 bytes"},
		"no multiple":         {presets.CloudflareStream(), tus.UploadOptions{ChunkSize: 6_000_000}, "ChunkSize makes a chunk of 6000000 bytes"},
		"halved chunks":       {presets.Supabase(), tus.UploadOptions{MinChunkSize: mib}, "MinChunkSize makes a chunk of 1048576 bytes"},
		"halved below minimum": {presets.CloudflareStream(), tus.UploadOptions{MinChunkSize: mib},
			"MinChunkSize makes a chunk of 1048576 bytes, but chunks must have at least 5242880, at most 209715200, a multiple of 262144 bytes"},
		"first chunk":           {presets.Supabase(), tus.UploadOptions{FirstChunkInCreation: true, CreationLimit: mib}, "CreationLimit makes a chunk of 1048576 bytes"},
		"negative first chunk":  {presets.Supabase(), tus.UploadOptions{FirstChunkInCreation: true, CreationLimit: -5}, "CreationLimit makes a chunk of -5 bytes"},
		"stop in a chunk":       {presets.Supabase(), tus.UploadOptions{StopAt: 7 * mib}, "StopAt makes a chunk of 1048576 bytes"},
		"deferred length":       {presets.CloudflareDirect(), tus.UploadOptions{DeferLength: true}, "DeferLength"},
		"no metadata":           {presets.Supabase(), tus.UploadOptions{}, "Metadata has no bucketName"},
		"empty value":           {presets.Supabase(), tus.UploadOptions{Metadata: tus.Metadata{"bucketName": "films", "objectName": ""}}, "Metadata has no objectName"},
		"empty metadata":        {presets.OCIS(), tus.UploadOptions{Metadata: tus.Metadata{}}, "Metadata has no filename"},
		"header":                {presets.Supabase(), tus.UploadOptions{Metadata: bucket()}, "Header has no Authorization or X-Signature"},
		"empty header":          {presets.Supabase(), tus.UploadOptions{Metadata: bucket(), Header: http.Header{"Authorization": {""}}}, "Header has no Authorization"},
		"limits without a size": {presets.Preset{ChunkMax: 10}, tus.UploadOptions{}, "preset: UploadOptions.ChunkSize is 0, but chunks must have at most 10 bytes"},
		"preset breaks itself":  {presets.Preset{ChunkSize: 11, ChunkMax: 10}, tus.UploadOptions{}, "ChunkSize makes a chunk of 11 bytes"},
		"negative preset":       {presets.Preset{ChunkSize: 10, ChunkMax: -1, ChunkMultiple: -1}, tus.UploadOptions{}, "at most -1"},
	} {
		t.Run(name, func(t *testing.T) {
			client, before := tus.Options{}, test.upload
			err := test.preset.Apply(&client, &test.upload)
			if !errors.Is(err, tus.ErrInvalidInput) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.preset.Name) {
				t.Errorf("error is %v\nwant %s", err, test.want)
			}
			if !reflect.DeepEqual(client, tus.Options{}) || !reflect.DeepEqual(test.upload, before) {
				t.Errorf("options are %+v, %+v", client, test.upload)
			}
		})
	}
	if err := presets.Supabase().Apply(nil, nil); !errors.Is(err, tus.ErrInvalidInput) {
		t.Errorf("without options of a client, error is %v", err)
	}
}

func TestApply_AcceptsWhatRulesPermit(t *testing.T) {
	for name, test := range map[string]struct {
		preset presets.Preset
		upload tus.UploadOptions
	}{
		"first chunk of a whole size": {presets.Supabase(), tus.UploadOptions{Metadata: bucket(), FirstChunkInCreation: true}},
		"larger creation limit":       {presets.Supabase(), tus.UploadOptions{Metadata: bucket(), FirstChunkInCreation: true, CreationLimit: 8 * mib}},
		"small sources in creation":   {presets.Supabase(), tus.UploadOptions{Metadata: bucket(), CreationLimit: mib}},
		"stop after a chunk":          {presets.Supabase(), tus.UploadOptions{Metadata: bucket(), StopAt: 12 * mib}},
		"halved within bounds":        {presets.CloudflareStream(), tus.UploadOptions{MinChunkSize: 5 * mib}},
		"name of the source":          {presets.OCIS(), tus.UploadOptions{}},
		"any size without a rule":     {presets.OCIS(), tus.UploadOptions{ChunkSize: 1}},
		"no metadata, no creation":    {presets.Preset{Metadata: []string{"title"}, ExternalCreation: true}, tus.UploadOptions{}},
	} {
		client := token()
		if err := test.preset.Apply(&client, &test.upload); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestApply_HeaderFieldMayBeAnywhere(t *testing.T) {
	hooks := tus.Hooks{BeforeRequest: func(*http.Request) error { return nil }}
	signed := http.Header{"x-signature": {"abc"}}
	for name, test := range map[string]struct {
		client tus.Options
		upload tus.UploadOptions
		found  bool
	}{
		"client":             {token(), tus.UploadOptions{}, true},
		"client, other case": {tus.Options{Header: signed}, tus.UploadOptions{}, true},
		"upload":             {tus.Options{}, tus.UploadOptions{Header: signed}, true},
		"removed by upload":  {token(), tus.UploadOptions{Header: http.Header{"Authorization": nil}}, false},
		"hook of client":     {tus.Options{Hooks: hooks}, tus.UploadOptions{}, true},
		"hook of upload":     {tus.Options{}, tus.UploadOptions{Hooks: hooks}, true},
		"HTTP client":        {tus.Options{HTTPClient: new(http.Client)}, tus.UploadOptions{}, true},
		"other field":        {tus.Options{Header: http.Header{"Apikey": {"abc"}}}, tus.UploadOptions{}, false},
	} {
		test.upload.Metadata = bucket()
		if err := presets.Supabase().Apply(&test.client, &test.upload); (err == nil) != test.found {
			t.Errorf("%s: error is %v", name, err)
		}
	}
}

func TestApply_ExternalCreationNeverCreates(t *testing.T) {
	hooked := 0
	hooks := tus.Hooks{BeforeRequest: func(*http.Request) error { hooked++; return nil }}
	for name, test := range map[string]struct {
		options tus.Options
		hooks   tus.Hooks
		hooked  int // for HEAD and PATCH
	}{
		"without hook":  {},
		"with hook":     {tus.Options{}, hooks, 2},
		"PATCH as POST": {tus.Options{OverridePatchMethod: true}, hooks, 2},
	} {
		t.Run(name, func(t *testing.T) {
			hooked = 0
			srv, data, options := tustest.NewServer(t, nil), bytes.Repeat([]byte("frame "), mib), test.options
			upload := tus.UploadOptions{Hooks: test.hooks}
			for range 2 { // the second one changes nothing
				if err := presets.Vimeo().Apply(&options, &upload); err != nil {
					t.Fatal(err)
				}
			}
			client := newClient(t, srv, &options)
			_, err := client.Upload(t.Context(), tus.Bytes(data), &upload)
			if !errors.Is(err, tus.ErrInvalidInput) || !strings.Contains(err.Error(), "Vimeo") || len(srv.Requests()) > 0 {
				t.Errorf("error is %v after %d requests", err, len(srv.Requests()))
			}
			backend := newClient(t, srv, nil)
			created, err := backend.Create(t.Context(), tus.CreateOptions{Size: int64(len(data))})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Resume(t.Context(), created.URL, tus.Bytes(data), &upload); err != nil {
				t.Fatal(err)
			}
			if stored, _ := srv.Upload(created.URL); !bytes.Equal(stored.Data, data) || hooked != test.hooked {
				t.Errorf("%d bytes are stored, the hook was called %d times", len(stored.Data), hooked)
			}
		})
	}
}

func TestID_IsKeptForLaterSession(t *testing.T) {
	srv, data := tustest.NewServer(t, nil), make([]byte, 11*mib)
	srv.Inject(tustest.Fault{Method: "POST", Action: tustest.SetHeader("Stream-Media-Id", "dd5d531a")})
	stream, store := presets.CloudflareStream(), new(storage.Memory)
	for _, stopAt := range []int64{5 * mib, 0} {
		options := token()
		options.Store = store
		upload := tus.UploadOptions{ChunkSize: stream.ChunkMin, StopAt: stopAt}
		if err := stream.Apply(&options, &upload); err != nil {
			t.Fatal(err)
		}
		result, err := newClient(t, srv, &options).Upload(t.Context(), tus.Bytes(data), &upload)
		if stopAt == 0 && err != nil || stopAt > 0 && !errors.Is(err, tus.ErrPaused) {
			t.Fatal(err)
		}
		if id := stream.ID(result); id != "dd5d531a" {
			t.Errorf("the ID is %q", id)
		}
	}
	if n := srv.Count("POST"); n != 1 {
		t.Errorf("%d creations", n)
	}
}

func TestID_WithoutResponseIsEmpty(t *testing.T) {
	empty := &tus.Response{}
	for _, result := range []*tus.Result{nil, {}, {Creation: empty, LastPatch: empty}} {
		for _, p := range append(presets.All(), presets.Preset{}) {
			if id := p.ID(result); id != "" {
				t.Errorf("%s: the ID is %q", p.Name, id)
			}
		}
	}
}

func TestAll_PresetsAreConsistent(t *testing.T) {
	names := map[string]bool{}
	for _, p := range presets.All() {
		if page, err := url.Parse(p.Documentation); err != nil || page.Scheme != "https" || p.Name == "" || names[p.Name] {
			t.Errorf("%q is documented at %q", p.Name, p.Documentation)
		}
		names[p.Name] = true
		complete := tus.UploadOptions{Metadata: tus.Metadata{}, Header: http.Header{}}
		for _, key := range p.Metadata {
			complete.Metadata[key] = "value"
		}
		for _, fields := range p.Header {
			complete.Header.Set(fields[0], "value")
		}
		if err := p.Apply(new(tus.Options), &complete); err != nil || complete.ChunkSize != p.ChunkSize {
			t.Errorf("%s: the chunk size is %d, %v", p.Name, complete.ChunkSize, err)
		}
		for i := range p.Metadata { // callers own what they get
			p.Metadata[i] = "changed"
		}
	}
	for _, p := range presets.All() {
		if slices.Contains(p.Metadata, "changed") {
			t.Errorf("%s has the metadata %v", p.Name, p.Metadata)
		}
	}
}

func newClient(t *testing.T, srv *tustest.Server, options *tus.Options) *tus.Client {
	t.Helper()
	client, err := tus.NewClient(srv.Endpoint(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}
