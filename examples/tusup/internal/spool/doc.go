// Package spool uploads the files that appear in a directory, and then keeps, moves or
// deletes them.
//
// [Run] finds files with notifications of the file system and with scans. A file is
// uploaded when its size and modification time rested for [Config.Settle], or at once when
// it was renamed from a temporary name. A file that failed waits with an exponential
// back-off; one that fails on its own account is set aside with its reason. Failures of the
// server or of the network count for no file: they stop the whole spool until one upload
// succeeds.
//
// The queue is the directory. The only other state is in memory, and is lost with the
// process: which files of a spool that keeps its files are uploaded, and how often a file
// failed. The [Uploader] must therefore resume an upload that another process started, and
// report one that is complete as such.
//
//	scanner, notifier   find files
//	queue               orders files, and wakes those that wait
//	spool               decides what happens to a file, in one goroutine
//	worker              uploads a file, then disposes of it, in one goroutine per file
//	disposal, mover     keep, move, delete and set aside files
//
// Package link attributes a failure to a file, to the server or to the store.
package spool
