package fleet

import (
	"slices"
	"testing"
)

func TestParseAddress_Servers(t *testing.T) {
	for text, want := range map[string]Address{
		"nats://a": {servers: []string{"nats://a"}, hosts: "a", bucket: DefaultBucket},
		"tls://me:s%40@a:1,b:2/media?replicas=5": {
			servers: []string{"tls://me:s%40@a:1", "tls://me:s%40@b:2"}, hosts: "a:1,b:2", bucket: "media", replicas: 5,
		},
		"nats://token@a,nats://[::1]:4222/?creds=/etc/a.creds&ca=/etc/ca.pem": {
			servers: []string{"nats://token@a", "nats://token@[::1]:4222"}, hosts: "a,[::1]:4222", bucket: DefaultBucket,
			creds: "/etc/a.creds", ca: "/etc/ca.pem",
		},
	} {
		got, err := ParseAddress(text)
		if err != nil || !slices.Equal(got.servers, want.servers) || got.hosts != want.hosts || got.bucket != want.bucket ||
			got.replicas != want.replicas || got.creds != want.creds || got.ca != want.ca {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func TestParseAddress_Invalid(t *testing.T) {
	for _, text := range []string{"nats://", "nats://a:x", "nats://a,,b", "nats://a?replicas=0", "nats://a?replicas=x", "nats://a?other=1", "nats://a?%zz", "nats://a@b@c"} {
		if a, err := ParseAddress(text); err == nil {
			t.Errorf("%s: no error, %+v", text, a)
		}
	}
}
