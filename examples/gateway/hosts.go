package main

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
)

// hosts has the host names of the gateway. Another site can resolve its name to the
// gateway's address (DNS rebinding): the browser then regards the gateway as that site,
// whose scripts can read every response.
type hosts struct {
	names     []string // as in a Host header, in lower case; without a port: any port
	addresses bool     // any IP address, which cannot be rebound
}

// newHosts returns the hosts of a comma-separated list. If it is empty, it returns the
// names of the listen address: addr as in the flag, and listening as resolved.
func newHosts(list, addr string, listening net.Addr) hosts {
	if list != "" {
		var h hosts
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name != "" {
				h.names = append(h.names, normalHost(name))
			}
		}
		return h
	}
	var h hosts
	if name, _, err := net.SplitHostPort(addr); err == nil && name != "" {
		h.names = append(h.names, normalHost(name))
	}
	tcp, ok := listening.(*net.TCPAddr)
	switch {
	case !ok:
	case tcp.IP.IsLoopback():
		h.names = append(h.names, "localhost", "127.0.0.1", "::1")
	case tcp.IP.IsUnspecified():
		h.addresses = true
		h.names = append(h.names, "localhost")
		if name, err := os.Hostname(); err == nil {
			h.names = append(h.names, normalHost(name))
		}
	default:
		h.names = append(h.names, tcp.IP.String())
	}
	return h
}

// normalHost returns a host in lower case, without the dot at the end of a name, and
// without brackets if it is an IPv6 address without port.
func normalHost(host string) string {
	host = strings.ToLower(host)
	if name, port, err := net.SplitHostPort(host); err == nil {
		return net.JoinHostPort(strings.TrimSuffix(name, "."), port)
	}
	return strings.TrimSuffix(strings.Trim(host, "[]"), ".")
}

// allow reports whether host, with or without a port, is in h.
func (h hosts) allow(host string) bool {
	host = normalHost(host)
	name := host
	if withoutPort, _, err := net.SplitHostPort(host); err == nil {
		name = withoutPort
	}
	if slices.Contains(h.names, host) || slices.Contains(h.names, name) {
		return true
	}
	_, err := netip.ParseAddr(name)
	return h.addresses && err == nil
}

// guard refuses requests for other hosts, and from pages of other hosts.
func (h hosts) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.allow(r.Host) {
			respondError(w, &refusal{http.StatusMisdirectedRequest, "unknown host (see the flag -host)"})
			return
		}
		for _, origin := range r.Header.Values("Origin") {
			if from, err := url.Parse(origin); err != nil || !h.allow(from.Host) {
				respondError(w, &refusal{http.StatusForbidden, "unknown origin (see the flag -host)"})
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// clientOf returns the client of a request, for the limit per client: its IPv4 address, or
// its IPv6 network of 64 bits, which usually belongs to one customer. header is the header
// field of a proxy with the address, "" if there is no proxy.
func clientOf(r *http.Request, header string) string {
	from := r.RemoteAddr
	if host, _, err := net.SplitHostPort(from); err == nil {
		from = host
	}
	if values := r.Header.Values(header); header != "" && len(values) > 0 {
		list := values[len(values)-1]
		from = strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:]) // the client can forge the elements before the last one
	}
	addr, err := netip.ParseAddr(from)
	if err != nil {
		return from
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		return netip.PrefixFrom(addr, 64).Masked().String()
	}
	return addr.String()
}
