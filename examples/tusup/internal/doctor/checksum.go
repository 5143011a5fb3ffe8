package doctor

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-175555ba/tus-go/checksum"
)

// checksums returns the algorithms of the server that tusup has, first the one that it
// selects. If they are unknown, that is the only one.
func (c capabilities) checksums() []checksum.Algorithm {
	all := checksum.Builtin()
	if !c.known {
		return all[:1]
	}
	return slices.DeleteFunc(all, func(a checksum.Algorithm) bool {
		return !slices.ContainsFunc(c.algorithms, func(name string) bool { return strings.EqualFold(name, a.Name) })
	})
}

// sums returns the values of Upload-Checksum for the first size bytes of the test data: the
// right one, and a wrong one.
func sums(a checksum.Algorithm, size int64) (right, wrong string) {
	h := a.New()
	h.Write(content(size))
	sum := h.Sum(nil)
	right = a.Name + " " + base64.StdEncoding.EncodeToString(sum)
	sum[0] ^= 0xff
	return right, a.Name + " " + base64.StdEncoding.EncodeToString(sum)
}

// checkChecksum sends a wrong checksum, which the server must refuse, and the right one
// (protocol section Checksum).
func (s *session) checkChecksum(ctx context.Context) Finding {
	const name = "checksum"
	if !s.server.offers(name) {
		return notOffered("corruption in transit is detected only by TCP and TLS")
	}
	algorithms := s.server.checksums()
	if len(algorithms) == 0 {
		return Finding{Outcome: No, Detail: "tusup has none of the algorithms: " + strings.Join(s.server.algorithms, ", ")}
	}
	a := algorithms[0]
	right, wrong := sums(a, s.small())
	return s.tryChecksums(ctx, name, a.Name, func(u *upload, matches bool) (*response, error) {
		sum := wrong
		if matches {
			sum = right
		}
		return s.patch(ctx, u, 0, s.small(), map[string]string{"Upload-Checksum": sum})
	})
}

// checkChecksumTrailer is checkChecksum with the checksum after the body.
func (s *session) checkChecksumTrailer(ctx context.Context) Finding {
	const name = "checksum-trailer"
	if !s.server.known || !s.server.offers(name) {
		return notOffered("chunks are read twice for their checksum")
	}
	a := s.server.checksums()[0] // checkChecksum found it
	right, wrong := sums(a, s.small())
	return s.tryChecksums(ctx, name, a.Name, func(u *upload, matches bool) (*response, error) {
		r := u.request("PATCH", 0, nil)
		r.body, r.size, r.trailer = bytesAt(0, s.small()), s.small(), wrong
		if matches {
			r.trailer = right
		}
		return s.patched(ctx, u, r)
	})
}

// tryChecksums sends the bytes of an upload with a wrong and with the right checksum.
func (s *session) tryChecksums(ctx context.Context, extension, algorithm string, send func(u *upload, matches bool) (*response, error)) Finding {
	useless := func(outcome Outcome, format string, args ...any) Finding {
		advice := "use --checksum off"
		if extension == "checksum" {
			s.advice.noChecksum = true
		} else {
			s.advice.broken = append(s.advice.broken, extension)
			advice = "let the proxies pass trailers, or use --capabilities without checksum-trailer"
		}
		return Finding{Outcome: outcome, Detail: fmt.Sprintf(format, args...), Advice: advice}
	}
	u, resp, err := s.create(ctx, s.small(), -1, nil)
	if u == nil {
		return Finding{Outcome: Unknown, Detail: "no upload was created: " + reason(resp, err)}
	}
	refusal, err := send(u, false)
	switch {
	case err != nil:
		return useless(No, "PATCH with %s fails: %v", extension, err)
	case refusal.succeeded():
		return useless(Warning, "advertised, but not verified: a wrong %s was accepted (%d), so the server ignores it, or a proxy removes it", algorithm, refusal.StatusCode)
	}
	resp, err = s.head(ctx, u)
	switch {
	case err != nil || !resp.succeeded():
		return Finding{Outcome: Unknown, Detail: "after a wrong checksum, HEAD fails: " + reason(resp, err)}
	case u.stored != 0:
		return Finding{Outcome: Warning, Detail: fmt.Sprintf("a wrong %s was refused (%d), but the server stored %d bytes", algorithm, refusal.StatusCode, u.stored)}
	}
	if resp, err = send(u, true); err != nil || !resp.succeeded() {
		return useless(No, "PATCH with a right %s is refused: %s", algorithm, reason(resp, err))
	}
	if !isMismatch(refusal) {
		return s.verdict(extension, Finding{Outcome: OK, Detail: fmt.Sprintf("%s is verified; the response to a wrong one is %d instead of 460", algorithm, refusal.StatusCode)})
	}
	return s.verdict(extension, Finding{Outcome: OK, Detail: fmt.Sprintf("%s is verified: a wrong one is refused (%d)", algorithm, refusal.StatusCode)})
}

// reason returns why a request failed.
func reason(resp *response, err error) string {
	if err != nil {
		return err.Error()
	}
	return describe(resp)
}
