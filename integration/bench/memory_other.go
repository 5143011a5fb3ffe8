//go:build !linux

package main

// memoryFolder is empty: files go where temporary ones do.
func memoryFolder() string { return "" }
