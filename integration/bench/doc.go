// Command bench compares this library with other clients, and with a baseline: a minimal
// Go program that sends the file without a copy, and does not resume.
//
//	go run ./bench -o table.md -chart chart.svg
//
// Every client and every server is a separate process, so that time and memory are
// those of the client. The clients of a workload run in rounds, A B C A B C. Each
// run is compared with the run of the baseline in the same round, because other
// load on the machine affects both. Compare ratios only: absolute numbers depend on
// the machine.
//
// If Linux permits it, all processes run in a separate network namespace with cubic
// congestion control, and files are in memory. BBR and disks would affect the
// numbers more than the clients do, and differently in each run.
//
// The clients are
//
//   - baseline: a net/http request with an *os.File as its body, which the kernel
//     sends without a copy. This does not work for chunks: for chunks, checksums
//     and parts the baseline is hand-written HTTP on a TCP connection, with
//     sendfile.
//   - tus-go: this library.
//   - net/http: the same as the baseline with a body that is not an *os.File, so
//     that it is copied through memory, as by other Go clients.
//   - curl and tus-js-client (npm, under Node), if they are installed.
package main
