//go:build !linux

package main

// memoryDir returns "": bench uses the directory for temporary files.
func memoryDir() string { return "" }
