package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/seed-175555ba/tus-go/examples/tusup/internal/text"
)

// size is a number of bytes on the command line: 1048576, 512KiB, 8MiB, 8M, 5MB.
type size int64

// UnmarshalText parses a size.
func (s *size) UnmarshalText(text []byte) error {
	units := map[string]int64{
		"": 1, "b": 1,
		"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
		"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, // as in rclone and dd
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	}
	input := string(text)
	digits := strings.TrimRight(input, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit, ok := units[strings.ToLower(input[len(digits):])]
	n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
	if !ok || err != nil {
		return fmt.Errorf("%q is not a size such as 512KiB, 8MiB or 5MB", input)
	}
	if n < 0 {
		return fmt.Errorf("%q is negative", input)
	}
	if n > math.MaxInt64/unit {
		return fmt.Errorf("%q is too large", input)
	}
	*s = size(n * unit)
	return nil
}

// bytesText formats n in powers of 1024.
func bytesText(n int64) string { return text.Bytes(n) }
