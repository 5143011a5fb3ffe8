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

// hosts are the names by which browsers reach the gateway. A page of another site can
// give its own name the gateway's address (DNS rebinding); the browser then takes the
// gateway for that site, and lets its scripts read every answer.
type hosts struct {
	names     []string // as in a Host header, in lower case; one without a port has any port
	addresses bool     // any IP address, which is no name that can be rebound
}

// newHosts are those of a list separated by commas, or, if it is empty, the names of the
// address that the gateway listens on; addr is how the user wrote that.
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

// normalHost is a name in lower case, without the brackets of an IPv6 address alone and
// the dot that may end a name.
func normalHost(host string) string {
	host = strings.ToLower(host)
	if name, port, err := net.SplitHostPort(host); err == nil {
		return net.JoinHostPort(strings.TrimSuffix(name, "."), port)
	}
	return strings.TrimSuffix(strings.Trim(host, "[]"), ".")
}

// allow reports whether host, with or without a port, is one of them.
func (h hosts) allow(host string) bool {
	host = normalHost(host)
	name := host
	if alone, _, err := net.SplitHostPort(host); err == nil {
		name = alone
	}
	if slices.Contains(h.names, host) || slices.Contains(h.names, name) {
		return true
	}
	_, err := netip.ParseAddr(name)
	return h.addresses && err == nil
}

// guard refuses requests that name another host, or come from a page of one.
func (h hosts) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.allow(r.Host) {
			answerError(w, &refusal{http.StatusMisdirectedRequest, "this host is not one of the gateway (flag -host)"})
			return
		}
		for _, origin := range r.Header.Values("Origin") {
			if from, err := url.Parse(origin); err != nil || !h.allow(from.Host) {
				answerError(w, &refusal{http.StatusForbidden, "this origin is not one of the gateway (flag -host)"})
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// clientOf is who sent a request, so that nobody takes the places of all others: an
// address, or of IPv6 a network of 64 bits, which one customer has. header names the
// field in which the proxy in front of the gateway tells the address; it is empty if
// there is no proxy.
func clientOf(r *http.Request, header string) string {
	from := r.RemoteAddr
	if host, _, err := net.SplitHostPort(from); err == nil {
		from = host
	}
	if values := r.Header.Values(header); header != "" && len(values) > 0 {
		list := values[len(values)-1]
		from = strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:]) // what comes before it a browser can make up
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
