package natsstore

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	maxReplicas = 5 // JetStream has no more

	// perSubject is how many messages a subject may have. Each change removes the message
	// before it. With 1, the server would have removed that already, and without a trace on
	// disk.
	perSubject = 2

	// headerSpace is enough for the headers of a message.
	headerSpace = 1 << 10

	// minRecord is the size in bytes of the records that every store must take.
	minRecord = 256 << 10

	// minMessage is the lowest limit for the size of messages.
	minMessage = minRecord + headerSpace
)

func validBucket(name string) bool {
	const chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return name != "" && len(name) <= 64 && strings.Trim(name, chars) == ""
}

// stream returns the name of the stream of a bucket. Tools for key-value buckets find it
// by this name.
func (s *Store) stream() string { return "KV_" + s.bucket }

// openBucket checks the bucket. If it does not exist, openBucket creates it in one request,
// so that other processes never see it with another configuration.
func (s *Store) openBucket(ctx context.Context, replicas int) error {
	r, err := s.info(ctx, infoRequest{})
	for tries := 0; tries < 100 && isAPIError(err, jetstream.JSErrCodeStreamNotFound); tries++ {
		r, err = s.create(ctx, replicas)
		if isAPIError(err, jetstream.JSErrCodeStreamNameInUse) { // created meanwhile, with other options
			if err = sleep(ctx, retryPause); err != nil {
				return err
			}
			r, err = s.info(ctx, infoRequest{})
		}
	}
	if err != nil {
		return err
	}
	if r.StreamInfo == nil {
		return errReply
	}
	limit := s.conn.MaxPayload()
	if limit < minMessage {
		return fmt.Errorf("max_payload of the server is %d, and must be at least %d", limit, minMessage)
	}
	if most := int64(r.Config.MaxMsgSize); most > 0 {
		limit = min(limit, most)
	}
	s.limit = limit - headerSpace
	return s.check(r.Config, replicas)
}

// create creates the bucket.
func (s *Store) create(ctx context.Context, replicas int) (*reply, error) {
	return s.call(ctx, "STREAM.CREATE."+s.stream(), jetstream.StreamConfig{
		Name:        s.stream(),
		Description: "tus uploads",
		Subjects:    []string{s.subject(">")},
		Storage:     jetstream.FileStorage,
		Replicas:    max(replicas, 1),
		Discard:     jetstream.DiscardNew, // a full bucket must not drop records

		MaxMsgsPerSubject: perSubject,
		AllowRollup:       true,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgSize:        -1,
		MaxConsumers:      -1,
		AllowMsgTTL:       true,
		AllowDirect:       false, // reads of replicas may return old records
	})
}

// check returns an error that names all settings of an existing bucket that would lose or
// hide records. Other settings may differ from those of create.
func (s *Store) check(cfg jetstream.StreamConfig, replicas int) error {
	if replicas == 0 {
		replicas = cfg.Replicas
	}
	limited := cfg.MaxMsgs > 0 || cfg.MaxBytes > 0
	size := cfg.MaxMsgSize
	if size <= 0 {
		size = minMessage
	}
	messages := cfg.MaxMsgsPerSubject
	if messages <= 0 {
		messages = perSubject
	}
	discard := cfg.Discard
	if !limited {
		discard = jetstream.DiscardNew
	}
	var wrong []string
	for _, setting := range []struct {
		name      string
		got, want any
	}{
		{"subjects", cfg.Subjects, []string{s.subject(">")}},
		{"storage", cfg.Storage, jetstream.FileStorage},
		{"retention", cfg.Retention, jetstream.LimitsPolicy},
		{"max_msgs_per_subject", min(messages, perSubject), int64(perSubject)},
		{"allow_rollup_hdrs", cfg.AllowRollup, true},
		{"deny_purge", cfg.DenyPurge, false},
		{"max_age", cfg.MaxAge, time.Duration(0)},
		{"max_msg_size", min(size, minMessage), int32(minMessage)},
		{"discard", discard, jetstream.DiscardNew},
		{"num_replicas", cfg.Replicas, replicas},
		{"allow_direct", cfg.AllowDirect, false},
		{"allow_msg_ttl", cfg.AllowMsgTTL, true},
		{"no_ack", cfg.NoAck, false},
		{"persist_mode", cfg.PersistMode, jetstream.DefaultPersistMode},
	} {
		if !reflect.DeepEqual(setting.got, setting.want) {
			wrong = append(wrong, fmt.Sprintf("%s is %v, and must be %v", setting.name, setting.got, setting.want))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	if !cfg.AllowMsgTTL {
		wrong = append(wrong, "servers before 2.11 have no allow_msg_ttl")
	}
	return fmt.Errorf("configuration of stream %s: %s", s.stream(), strings.Join(wrong, "; "))
}

// isAPIError reports whether the server returned the error code.
func isAPIError(err error, codes ...jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, code := range codes {
		if api.ErrorCode == code {
			return true
		}
	}
	return false
}
