package tus_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/seed-175555ba/tus-go/checksum"
	"github.com/seed-175555ba/tus-go/storage"
	"github.com/seed-175555ba/tus-go/tus"
	"github.com/seed-175555ba/tus-go/tus/tustest"
)

func TestParallel_WithoutConcatenation(t *testing.T) {
	data := randomBytes(4000)
	unable := &tustest.Options{Extensions: tustest.Without("concatenation", "concatenation-unfinished")}
	t.Run("required", func(t *testing.T) {
		srv := tustest.NewServer(t, unable)
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), required(inParts(4)))
		wantError(t, err, tus.ErrUnsupported)
		wantError(t, err, errors.ErrUnsupported)
		if !strings.Contains(err.Error(), "concatenation") || res == nil || res.URL != "" {
			t.Errorf("error is %v, result %+v", err, res)
		}
		wantMethods(t, srv.Handler, "OPTIONS")
	})
	t.Run("not required", func(t *testing.T) {
		srv := tustest.NewServer(t, unable)
		opts := inParts(4)
		opts.CreationLimit = -1
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), opts)
		if err != nil {
			t.Fatal(err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		wantMethods(t, srv.Handler, "OPTIONS", "POST", "PATCH")
	})
	t.Run("capabilities of the caller", func(t *testing.T) {
		srv := tustest.NewServer(t, unable)
		client := newClient(t, srv.Endpoint(), &tus.Options{Capabilities: &tus.Capabilities{}})
		_, err := client.Upload(testContext(t), tus.Bytes(data), required(inParts(4)))
		wantError(t, err, tus.ErrUnsupported)
		wantMethods(t, srv.Handler)

		able := finalLast(t)
		client = newClient(t, able.Endpoint(), &tus.Options{Capabilities: &tus.Capabilities{
			Extensions: []string{"concatenation"},
		}})
		res, err := client.Upload(testContext(t), tus.Bytes(data), inParts(4))
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, able.Handler, res.URL, data)
		if able.Count("OPTIONS") != 0 {
			t.Error("OPTIONS was sent despite Options.Capabilities")
		}
	})
}

func TestParallel_UnknownCapabilities(t *testing.T) {
	data := randomBytes(4000)
	responses := map[string]tustest.Action{
		"404": goneWith(404),
		"405": tustest.Respond(405, ""),
		"401": tustest.Respond(401, ""),
		"500": tustest.Respond(500, ""),
		"cut": tustest.CutBefore(),
	}
	for name, action := range responses {
		t.Run(name, func(t *testing.T) {
			srv := tustest.NewServer(t, nil)
			srv.Inject(tustest.Fault{Method: "OPTIONS", Times: -1, Action: action})
			client := newClient(t, srv.Endpoint(), nil)
			_, err := client.Upload(testContext(t), tus.Bytes(data), required(inParts(4)))
			if err == nil || !strings.Contains(err.Error(), "concatenation") {
				t.Errorf("error is %v, want one that names concatenation", err)
			}
			var e *tus.Error
			if !errors.As(err, &e) || e.Method != "OPTIONS" {
				t.Errorf("error is %v", err)
			}
			if srv.Count("POST") != 0 {
				t.Error("an upload was created")
			}
			res, err := client.Upload(testContext(t), tus.Bytes(data), inParts(4))
			if err != nil {
				t.Fatal(err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			if n := len(partials(srv.Handler)); n != 0 {
				t.Errorf("%d partial uploads", n)
			}
		})
	}
	t.Run("temporary failure is retried", func(t *testing.T) {
		srv := tustest.NewServer(t, nil)
		srv.Inject(tustest.Fault{Method: "OPTIONS", Times: 2, Action: tustest.Respond(503, "")})
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), tus.Bytes(data), required(inParts(4)))
		if err != nil {
			t.Fatal(err)
		}
		wantOneFinal(t, srv.Handler, res.URL, data)
		if srv.Count("OPTIONS") != 3 || res.Stats.Retries != 2 {
			t.Errorf("%d OPTIONS, %d retries", srv.Count("OPTIONS"), res.Stats.Retries)
		}
	})
}

func TestParallel_PartBoundaries(t *testing.T) {
	data := randomBytes(4000)
	for name, srv := range concatServers(t) {
		client := newClient(t, srv.Endpoint(), nil)
		for _, boundaries := range [][]int64{{1}, {3999}, {1, 2, 3}, {500, 2500, 2501}} {
			before := len(partials(srv.Handler))
			res, err := client.Upload(testContext(t), tus.Bytes(data), &tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: boundaries}})
			if err != nil {
				t.Fatalf("%s: %v: %v", name, boundaries, err)
			}
			wantStored(t, srv.Handler, res.URL, data)
			var lengths, want []int64
			for _, u := range partials(srv.Handler)[before:] {
				lengths = append(lengths, u.Length)
			}
			for i, end := range append(slices.Clone(boundaries), 4000) {
				begin := int64(0)
				if i > 0 {
					begin = boundaries[i-1]
				}
				want = append(want, end-begin)
			}
			slices.Sort(lengths)
			slices.Sort(want)
			if !slices.Equal(lengths, want) {
				t.Errorf("%s: parts have %v bytes, want %v", name, lengths, want)
			}
		}
	}
}

func TestParallel_InvalidOptions(t *testing.T) {
	data := tus.Bytes(randomBytes(4000))
	tests := map[string]struct {
		source tus.Source
		opts   tus.UploadOptions
	}{
		"negative number":           {data, tus.UploadOptions{Parallel: -1}},
		"negative minimum":          {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: -1}}},
		"together with StopAt":      {data, tus.UploadOptions{Parallel: 2, StopAt: 1}},
		"together with DeferLength": {data, tus.UploadOptions{Parallel: 2, DeferLength: true}},
		"bad metadata of parts":     {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartMetadata: tus.Metadata{"a b": ""}}}},
		"boundary at 0":             {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{0}}}},
		"negative boundary":         {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{-5}}}},
		"boundary twice":            {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{7, 7}}}},
		"boundaries descending":     {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{9, 8}}}},
		"boundary at the end":       {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{4000}}}},
		"boundary beyond the end":   {data, tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{1, 4001}}}},
		"boundary in an empty file": {tus.Bytes(nil), tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{1}}}},
		"boundaries without parts":  {data, tus.UploadOptions{ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{5}}}},
		"source with one reader":    {tus.ReadSeeker(bytes.NewReader(randomBytes(4000)), 4000), *required(inParts(2))},
		"stream":                    {tus.Reader(bytes.NewReader(randomBytes(4000))), *required(&tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{MinPartSize: 1000}, ChunkSize: 1000})},
		"boundary, parts required":  {data, *required(&tus.UploadOptions{Parallel: 2, ParallelOptions: tus.ParallelOptions{PartBoundaries: []int64{4000}}})},
	}
	for name, test := range tests {
		srv := tustest.NewServer(t, nil)
		// A store and checksums would require earlier requests.
		client := newClient(t, srv.Endpoint(), &tus.Options{Checksums: checksum.Builtin(), Store: &storage.Memory{}})
		res, err := client.Upload(testContext(t), test.source, &test.opts)
		if !errors.Is(err, tus.ErrInvalidInput) || res == nil {
			t.Errorf("%s: error is %v", name, err)
		}
		if n := len(srv.Requests()); n != 0 {
			t.Errorf("%s: %d requests were sent", name, n)
		}
	}
}

func TestParallel_SequentialSourceIsOneUpload(t *testing.T) {
	data := randomBytes(4000)
	sources := map[string]tus.Source{
		"ReadSeeker": tus.ReadSeeker(bytes.NewReader(data), 4000),
		"Reader":     tus.Reader(bytes.NewReader(data)),
	}
	for name, source := range sources {
		srv := tustest.NewServer(t, nil)
		opts := inParts(4)
		opts.ChunkSize = 1000
		res, err := newClient(t, srv.Endpoint(), nil).Upload(testContext(t), source, opts)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantStored(t, srv.Handler, res.URL, data)
		if n := len(partials(srv.Handler)); n != 0 {
			t.Errorf("%s: %d partial uploads", name, n)
		}
	}
}
