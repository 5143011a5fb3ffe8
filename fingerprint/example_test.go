package fingerprint_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/seed-175555ba/tus-go/fingerprint"
)

func Example() {
	f, err := os.Open("sample.go")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		log.Fatal(err)
	}
	got, err := fingerprint.Sample{}.Fingerprint(context.Background(), f, fingerprint.Info{
		Name:    stat.Name(),
		Size:    stat.Size(),
		ModTime: stat.ModTime(),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.HasPrefix(got, fmt.Sprintf("sample2-%d-", stat.Size())))
	// Output: true
}

func ExampleSample() {
	r := strings.NewReader("Hello, world!")
	info := fingerprint.Info{
		Name:    "/home/gopher/greeting.txt",
		Size:    r.Size(),
		ModTime: time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC),
	}
	got, err := fingerprint.Sample{}.Fingerprint(context.Background(), r, info)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got)
	// Output: sample2-13-e446d0af5f321a080a2875ff195a9178
}

func ExampleContent() {
	r := strings.NewReader("Hello, world!")
	content := fingerprint.Content{OnProgress: func(done, size int64) {
		fmt.Printf("%d of %d bytes\n", done, size)
	}}
	got, err := content.Fingerprint(context.Background(), r, fingerprint.Info{Size: r.Size()})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got)
	// Output:
	// 13 of 13 bytes
	// content1-13-ade2b2886b80787bbb5ca743b534f2fa
}

func ExampleStat() {
	got, err := fingerprint.Stat{}.Fingerprint(context.Background(), nil, fingerprint.Info{
		Name:    "/data/disk.img",
		Size:    1 << 40,
		ModTime: time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got)
	// Output: stat1-1099511627776-d2ec76554fd57fb82d8f41147ce98d8c
}

// A program with unique names for its assets need not read their content.
func ExampleFunc() {
	var byAsset fingerprint.Fingerprinter = fingerprint.Func(
		func(_ context.Context, _ io.ReaderAt, info fingerprint.Info) (string, error) {
			return "asset-" + info.Version, nil
		})
	got, err := byAsset.Fingerprint(context.Background(), nil, fingerprint.Info{Size: 13, Version: "4711"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got)
	// Output: asset-4711
}
