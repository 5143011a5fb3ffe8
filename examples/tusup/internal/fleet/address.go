package fleet

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// DefaultBucket is the bucket of an address that names none. It is also the prefix of the
// streams of the queue.
const DefaultBucket = "tus-uploads"

// maxReplicas is the maximum of JetStream.
const maxReplicas = 5

// Address says where the servers are.
type Address struct {
	// Dir is the directory of an embedded server. If it is set, the other fields are not.
	Dir string

	servers  []string // URLs with credentials
	hosts    string   // without
	bucket   string
	replicas int // 0 means 3 in a cluster, and 1 otherwise
	creds    string
	ca       string
}

// IsURL reports whether text is an address of servers.
func IsURL(text string) bool {
	return strings.HasPrefix(text, "nats://") || strings.HasPrefix(text, "tls://")
}

// Embedded returns the address of an embedded server with its data in dir.
func Embedded(dir string) (Address, error) {
	dir, err := filepath.Abs(dir)
	return Address{Dir: dir, bucket: DefaultBucket, replicas: 1}, err
}

// ParseAddress parses "nats://USER:PASSWORD@HOST:PORT,HOST:PORT/BUCKET?replicas=3". Errors do
// not have credentials.
func ParseAddress(text string) (Address, error) {
	scheme, rest, _ := strings.Cut(text, "://")
	for _, other := range []string{"nats", "tls"} { // "nats://a,nats://b" is common as well
		rest = strings.ReplaceAll(rest, ","+other+"://", ",")
	}
	rest, query, _ := strings.Cut(rest, "?")
	rest, bucket, _ := strings.Cut(rest, "/")
	a := Address{bucket: DefaultBucket}
	login := ""
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		login, rest = rest[:at+1], rest[at+1:]
	}
	for host := range strings.SplitSeq(rest, ",") {
		u, err := url.Parse(scheme + "://" + login + host)
		if err != nil || u.Hostname() == "" || strings.Count(login, "@") > 1 || strings.Contains(bucket, "@") {
			return a, errors.New("must be nats://HOST:PORT,HOST:PORT/BUCKET, with special characters of a password escaped")
		}
		a.servers = append(a.servers, u.String())
	}
	a.hosts = rest
	if bucket != "" {
		a.bucket = bucket
	}
	return a, a.parseQuery(query)
}

func (a *Address) parseQuery(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("invalid query")
	}
	for key := range values {
		value := values.Get(key)
		switch key {
		case "replicas":
			if a.replicas, err = strconv.Atoi(value); err != nil || a.replicas < 1 || a.replicas > maxReplicas {
				return fmt.Errorf("replicas=%s: must be 1 to %d", value, maxReplicas)
			}
		case "creds":
			a.creds = value
		case "ca":
			a.ca = value
		default:
			return fmt.Errorf("unknown key %q: must be replicas, creds or ca", key)
		}
	}
	return nil
}

// String returns the address without credentials.
func (a Address) String() string {
	if a.Dir != "" {
		return a.Dir
	}
	return "nats://" + a.hosts
}
