module github.com/seed-175555ba/tus-go/integration

go 1.25.0

require (
	github.com/cenkalti/backoff/v4 v4.3.0
	github.com/seed-175555ba/tus-go v0.0.0
	github.com/tus/tusd/v2 v2.9.1
	go.uber.org/goleak v1.3.0
	golang.org/x/exp v0.0.0-20250106191152-7588d65b2ba8
	golang.org/x/sys v0.40.0
)

require (
	github.com/klauspost/cpuid/v2 v2.2.10 // indirect
	github.com/tus/lockfile v1.2.0 // indirect
	github.com/zeebo/xxh3 v1.1.0 // indirect
	go.etcd.io/bbolt v1.4.3 // indirect
	golang.org/x/sync v0.19.0 // indirect
)

replace github.com/seed-175555ba/tus-go => ../
