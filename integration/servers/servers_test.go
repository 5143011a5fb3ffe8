//go:build unix

package servers_test
