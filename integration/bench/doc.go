// Command bench measures this library beside what a user would pick instead,
// and beside the limit: the least that a Go program can do.
//
//	go run ./bench -o table.md -chart chart.svg
//
// Every client and every server is a process of its own, so that time and
// memory are the client's alone. The clients of a workload take turns, A B C A B
// C, and each run is compared with the run of the limit in the same round: what
// else the machine does at that time hits both. Ratios mean something, absolute
// numbers only on that machine.
//
// Where Linux allows it, all of them run in a network namespace of their own, in
// which connections have cubic congestion control, and files lie in memory. BBR,
// where a machine has it, and disks would have a greater part in the numbers than
// the clients have, and another one in each run.
//
// The clients are
//
//   - limit: a bare net/http request with the *os.File itself as its body, which
//     the kernel sends without a copy. A chunk cannot be sent so; for chunks,
//     checksums and parts the limit is HTTP by hand on a TCP connection, and
//     sendfile.
//   - tus-go: this library.
//   - net/http: the same as the limit where the body is anything but an *os.File,
//     so that it is copied through memory: what other Go clients do at best.
//   - curl and tus-js-client (npm, under Node), where they are installed.
package main
