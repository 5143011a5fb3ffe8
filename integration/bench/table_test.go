package main

import (
	"strings"
	"testing"
)

func TestTable_HasOneLinePerClient(t *testing.T) {
	var out strings.Builder
	writeTable(&out, sampleResults())
	want := strings.TrimPrefix(`
| workload | server | client | wall | × baseline | CPU | × baseline | peak RSS | requests | bytes sent |
|---|---|---|--:|--:|--:|--:|--:|--:|--:|
| 1 GiB whole | sink | baseline | 500 ms | 1.00 | 100 ms | 1.00 | 12.0 MiB | 2 | 1.000 × payload |
|  |  | **tus-go** | 510 ms | 1.02 | 105 ms | 1.05 | 13.0 MiB | 3 | 1.000 × payload |
|  |  | tus-js-client | 6.00 s | 12.0 | 4.00 s | 40.0 | 90.0 MiB | 2 | 1.250 × payload |
| 64 MiB, long link | tusd | baseline | 8.00 s | 1.00 | 1.00 s | 1.00 | – | 0 | 1.000 × payload |
|  |  | **tus-go** | 8.00 s | 1.00 | 1.00 s | 1.00 | – | 0 | 1.000 × payload |
|  |  | curl | failed |  |  |  |  |  |  |
|  |  | **tus-go, 4 parts** | 2.00 s | 0.25 | 1.00 s | 1.00 | – | 0 | 1.000 × payload |
`, "\n")
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestBytesText_UsesBinaryUnits(t *testing.T) {
	for n, want := range map[int64]string{4 * kib: "4 KiB", mib: "1 MiB", 64 * mib: "64 MiB", mib * 5 / 2: "2.5 MiB", gib: "1 GiB", 8 * gib: "8 GiB"} {
		if got := bytesText(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}

func TestFlatTable_ShowsIdleProcess(t *testing.T) {
	var out strings.Builder
	writeFlat(&out, flatness{sizes: []memoryAt{{64 * mib, 13 * mib}, {8 * gib, 14 * mib}}, idle: 12 * mib})
	for _, want := range []string{"| 64 MiB | 13.0 MiB |", "| 8 GiB | 14.0 MiB |", "idle process of the same program | 12.0 MiB |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
