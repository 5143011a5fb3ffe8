package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// sampleResults returns two workloads; a client failed in the second one.
func sampleResults() []result {
	return []result{
		{
			workload: workload{id: "whole-sink", title: "1 GiB whole", server: toSink, size: gib},
			rows: []row{
				{name: nameBaseline, wall: 500 * time.Millisecond, cpu: 100 * time.Millisecond, rss: 12 * mib, requests: 2, bytes: gib, wallRatio: 1, cpuRatio: 1},
				{name: nameTus, wall: 510 * time.Millisecond, cpu: 105 * time.Millisecond, rss: 13 * mib, requests: 3, bytes: gib, wallRatio: 1.02, cpuRatio: 1.05},
				{name: nameTusJS, wall: 6 * time.Second, cpu: 4 * time.Second, rss: 90 * mib, requests: 2, bytes: gib + gib/4, wallRatio: 12, cpuRatio: 40},
			},
		},
		{
			workload: workload{id: "shaped-tusd", title: "64 MiB, long link", server: toTusd, size: 64 * mib, parts: 4},
			rows: []row{
				{name: nameBaseline, wall: 8 * time.Second, cpu: time.Second, bytes: 64 * mib, wallRatio: 1, cpuRatio: 1},
				{name: nameTus, wall: 8 * time.Second, cpu: time.Second, bytes: 64 * mib, wallRatio: 1, cpuRatio: 1},
				{name: nameCurl, failure: io.ErrUnexpectedEOF},
				{name: partsName(nameTus, 4), wall: 2 * time.Second, cpu: time.Second, bytes: 64 * mib, wallRatio: 0.25, cpuRatio: 1},
			},
		},
	}
}

func TestChart_ShowsTitlesClientsAndRatios(t *testing.T) {
	path := filepath.Join(t.TempDir(), "chart.svg")
	if err := writeChart(path, sampleResults()); err != nil {
		t.Fatal(err)
	}
	drawn, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(drawn, new(struct{})); err != nil {
		t.Errorf("not XML: %v", err)
	}
	for _, want := range []string{">1 GiB whole<", ">to a sink<", ">to tusd<", ">12.0<", ">40.0<", ">0.25 (4 parts)<", ">" + nameTusJS + "<"} {
		if !bytes.Contains(drawn, []byte(want)) {
			t.Errorf("%s is not in the chart", want)
		}
	}
	if bytes.Contains(drawn, []byte(nameCurl)) {
		t.Error("a failed client is in the chart")
	}
}
