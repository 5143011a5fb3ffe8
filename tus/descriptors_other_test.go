//go:build !linux

package tus_test

func uploadManyIfChild() {}
