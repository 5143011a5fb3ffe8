package contract_test

import (
	"time"

	"github.com/seed-175555ba/tus-go/tus"
)

// zero returns the delays before n retries that do not wait.
func zero(n int) []time.Duration { return make([]time.Duration, n) }

// retries has what the clients agree on: delays are used one after the other, and from the
// first again after progress; the offset is requested before bytes are resent.
func retries() []scenario {
	list := []time.Duration{time.Second, 3 * time.Second}
	const created = `
		> POST /files/ | Upload-Length: 11
		< 201 | Location: /files/a`
	return []scenario{
		{
			name:    "a creation is retried after a server error",
			options: options{delays: list},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 500
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{
				url: "/files/a", waited: time.Second,
				events: "retry 1 after 1s, created /files/a, acknowledged 11, complete",
			},
		},
		{
			name:    "the offset is requested before bytes are resent",
			options: options{delays: list},
			exchanges: created + `
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 500
				> HEAD /files/a
				< 200 | Upload-Offset: 6 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 6 | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{
				url: "/files/a", waited: time.Second,
				events: "created /files/a, retry 1 after 1s, acknowledged 6, acknowledged 11, complete",
			},
		},
		{
			name: "a connection that breaks is a temporary failure",
			exchanges: created + `
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< cut
				> HEAD /files/a
				< 200 | Upload-Offset: 6 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 6 | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "a creation whose connection breaks is retried",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< cut` + created + `
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "a HEAD whose connection breaks is retried",
			call: resume, url: "/files/a",
			exchanges: `
				> HEAD /files/a
				< cut
				> HEAD /files/a
				< 200 | Upload-Offset: 5 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 5 | body 5-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "a request without a response times out, and is retried",
			exchanges: created + `
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< hang
				> HEAD /files/a
				< 200 | Upload-Offset: 6 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 6 | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name: "nothing is resent if only the response was lost",
			exchanges: created + `
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< cut
				> HEAD /files/a
				< 200 | Upload-Offset: 11 | Upload-Length: 11`,
			want: outcome{url: "/files/a", events: "created /files/a, retry 1, acknowledged 11, complete"},
		},
		{
			name:    "the last failure is returned when the delays are used up",
			options: options{delays: list},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 500
				> POST /files/ | Upload-Length: 11
				< 502
				> POST /files/ | Upload-Length: 11
				< 503 | text maintenance`,
			want: outcome{
				status: 503, method: "POST", message: "maintenance", waited: 4 * time.Second,
				events: "retry 1 after 1s, retry 2 after 3s, failed",
			},
		},
		{
			name:    "without delays the first failure is returned",
			options: options{delays: zero(0)},
			exchanges: created + `
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 500`,
			want: outcome{status: 500, method: "PATCH", events: "created /files/a, failed"},
		},
		{
			name:    "the delays start from the first after progress",
			options: options{delays: []time.Duration{2 * time.Second}, chunk: 6},
			exchanges: created + `
				> PATCH /files/a | Upload-Offset: 0 | body 0-6
				< 500
				> HEAD /files/a
				< 200 | Upload-Offset: 0 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 0 | body 0-6
				< 204 | Upload-Offset: 6
				> PATCH /files/a | Upload-Offset: 6 | body 6-11
				< 500
				> HEAD /files/a
				< 200 | Upload-Offset: 6 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 6 | body 6-11
				< 204 | Upload-Offset: 11`,
			want: outcome{
				url: "/files/a", waited: 4 * time.Second,
				events: "created /files/a, retry 1 after 2s, acknowledged 6, retry 1 after 2s, acknowledged 11, complete",
			},
		},
		{
			name:    "the delays do not start again without progress",
			options: options{delays: list},
			exchanges: created + `
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 500
				> HEAD /files/a
				< 200 | Upload-Offset: 0 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 500
				> HEAD /files/a
				< 200 | Upload-Offset: 0 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 500`,
			want: outcome{status: 500, method: "PATCH", waited: 4 * time.Second},
		},
		{
			name:    "a callback retries a failure that is not retried otherwise",
			options: options{retryOnly: 403},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 403
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a"},
		},
		{
			name:    "a callback ends the retries of a failure",
			options: options{retryOnly: 403},
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 500`,
			want: outcome{status: 500, method: "POST"},
		},
		{
			name: "Retry-After is the least wait",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 429 | Retry-After: 7
				> POST /files/ | Upload-Length: 11
				< 201 | Location: /files/a
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{
				url: "/files/a", waited: 7 * time.Second,
				events: "retry 1 after 7s, created /files/a, acknowledged 11, complete",
			},
		},
		{
			name: "Retry-After may be a date",
			exchanges: created + `
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 503 | Retry-After: Sat, 01 Jan 2000 00:01:00 GMT
				> HEAD /files/a
				< 200 | Upload-Offset: 0 | Upload-Length: 11
				> PATCH /files/a | Upload-Offset: 0 | body 0-11
				< 204 | Upload-Offset: 11`,
			want: outcome{url: "/files/a", waited: time.Minute},
		},
		{
			name: "a paused upload is not retried",
			stop: "pause at retry 1",
			exchanges: `
				> POST /files/ | Upload-Length: 11
				< 500`,
			want: outcome{err: tus.ErrPaused},
		},
	}
}
