// Package sfv compares the structured fields that the client reads with another
// implementation of RFC 9651.
package sfv
