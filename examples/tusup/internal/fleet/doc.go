// Package fleet has what the workers on several machines share: NATS servers with the records
// of uploads, and a queue of jobs.
//
// [Open] connects to NATS, or keeps an embedded server running in a directory. [Queue] has
// the jobs, and [Run] takes them from it, some at a time.
//
//	address, engine   connect to the servers
//	node              the embedded server, in one of the processes that share its directory
//	job, queue        jobs, and those that failed for good
//	delivery          a job that a worker has taken
//	worker            takes jobs, and decides what happens to one that fails
package fleet
