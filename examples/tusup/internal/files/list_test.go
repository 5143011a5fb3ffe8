package files

import (
	"slices"
	"strings"
	"testing"
)

func TestReadList(t *testing.T) {
	for name, test := range map[string]struct {
		text      string
		separator Separator
		want      []string
	}{
		"lines":           {"a\nb c\n\n d \n", Newline, []string{"a", "b c", " d "}},
		"no last newline": {"a\nb", Newline, []string{"a", "b"}},
		"CRLF":            {"a\r\nb\r\n\r\n", Newline, []string{"a", "b"}},
		"not UTF-8":       {"a\xff\n\xfe\n", Newline, []string{"a\xff", "\xfe"}},
		"comment signs":   {"#a\n-\n", Newline, []string{"#a", "-"}},
		"NUL":             {"a\nb\x00\x00c\r\x00d", NUL, []string{"a\nb", "c\r", "d"}},
		"empty":           {"", Newline, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadList(strings.NewReader(test.text), test.separator)
			if err != nil || !slices.Equal(got, test.want) {
				t.Errorf("list is %q, %v", got, err)
			}
		})
	}
}

func TestReadList_WrongSeparatorIsAnError(t *testing.T) {
	for text, separator := range map[string]Separator{"a\x00b\x00": Newline, strings.Repeat("a", maxPath+1): NUL} {
		if got, err := ReadList(strings.NewReader(text), separator); err == nil {
			t.Errorf("list has %d paths", len(got))
		}
	}
}
