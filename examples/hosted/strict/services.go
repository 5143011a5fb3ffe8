package strict

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// The rules of services, from the pages that package presets names.

// BunnyStream returns the rules of Bunny Stream. Signatures are not verified.
func BunnyStream() Rules {
	return Rules{
		Metadata:  []string{"filetype", "title"},
		Authorize: allOf("AuthorizationSignature", "AuthorizationExpire", "LibraryId", "VideoId"),
	}
}

// CloudflareStream returns the rules of Cloudflare Stream. The ID of a video is "the-id".
func CloudflareStream() Rules {
	return Rules{
		Chunk:        Multiple(262_144, 5_242_880, 209_715_200),
		Authorize:    oneOf("Authorization", "X-Auth-Key"),
		SizeRequired: true,
		Creation:     http.Header{"Stream-Media-Id": {"the-id"}},
	}
}

// CloudflareDirect returns the rules of a direct creator upload to Cloudflare Stream: those
// of an upload that a backend created, without the token of the account.
func CloudflareDirect() Rules {
	return Rules{
		Chunk:      Multiple(262_144, 5_242_880, 209_715_200),
		Authorize:  noneOf("Authorization", "X-Auth-Key"),
		NoCreation: true,
	}
}

// OCIS returns the rules of ownCloud Infinite Scale. The ID of a file is "the-id".
func OCIS() Rules {
	return Rules{
		Metadata:     []string{"filename"},
		SizeRequired: true,
		Stored:       http.Header{"Oc-Fileid": {"the-id"}},
	}
}

// Supabase returns the rules of Supabase Storage.
func Supabase() Rules {
	return Rules{
		Chunk:     Exactly(6 << 20),
		Metadata:  []string{"bucketName", "objectName"},
		Authorize: oneOf("Authorization", "X-Signature"),
	}
}

// Transloadit returns the rules of Transloadit.
func Transloadit() Rules {
	return Rules{Metadata: []string{"assembly_url", "fieldname", "filename"}}
}

// Vimeo returns the rules of Vimeo.
func Vimeo() Rules {
	return Rules{Authorize: noneOf("Authorization"), NoCreation: true}
}

// allOf requires all header fields.
func allOf(names ...string) func(*http.Request) error {
	return func(r *http.Request) error {
		for _, name := range names {
			if r.Header.Get(name) == "" {
				return fmt.Errorf("header field %s is missing", name)
			}
		}
		return nil
	}
}

// oneOf requires one of several header fields.
func oneOf(names ...string) func(*http.Request) error {
	return func(r *http.Request) error {
		if slices.ContainsFunc(names, func(name string) bool { return r.Header.Get(name) != "" }) {
			return nil
		}
		return fmt.Errorf("header field %s is missing", strings.Join(names, " or "))
	}
}

// noneOf refuses header fields that the client should keep to itself.
func noneOf(names ...string) func(*http.Request) error {
	given := oneOf(names...)
	return func(r *http.Request) error {
		if given(r) == nil {
			return errors.New("the request has credentials")
		}
		return nil
	}
}
