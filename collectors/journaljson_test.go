package collectors

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type textField struct{ Name, Text string }

func scanned(line []byte) (fields []textField, ok bool) {
	ok = scanJournal(line, func(name, text string) {
		fields = append(fields, textField{string([]rune(name)), string([]rune(text))})
	})
	return fields, ok
}

var journalLines = []string{
	`{"MESSAGE":"NVRM: Xid (PCI:0000:3b:00): 79","PRIORITY":"3","__CURSOR":"s=1;i=2","_BOOT_ID":"8778dbaf"}`,
	`{"MESSAGE":[72,105,32,255],"PRIORITY":["6","7"],"_SOURCE_MONOTONIC_TIMESTAMP":null}`,
	` { "MESSAGE" : "a \"quoted\" \\ \/ \b\f\n\r\t \u00e9 \ud83d\ude00 \ud83d \ude00 \ud83d\u0041 ümlaut" , "N" : -1.5e+7 , "T":true } `,
	`{"MESSAGE":[],"A":{},"B":[[1],{"C":"D"}],"E":["first",["second"]],"F":[1,"x"],"G":[256],"H":[-1],"I":[1.0]}`,
	`{}`, `{"":""}`, `{"A":"x","A":"y"}`,
}

func TestScanJournal(t *testing.T) {
	got, ok := scanned([]byte(journalLines[3]))
	if d := cmp.Diff([]textField{{"MESSAGE", ""}, {"E", "first"}}, got); d != "" || !ok {
		t.Error(ok, d)
	}
	for _, line := range []string{``, `{`, `[]`, `"x"`, `{"A"}`, `{"A":}`, `{"A":"x"`, `{"A":"x",}`, `{"A":"x" "B":"y"}`, `{"A":"x"}{`, `{A:"x"}`, `{"A":"\x"}`, `{"A":"\u12"}`,
		`{"A":"\u12g4"}`, `{"A":"\`, `{"A":[1,]}`, `{"A":[1`, `{"A":["x",]}`, `{"A":{"B"}}`, `{"A":{"B":1,}}`, `{"A":{1:2}}`, `{"A":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`} {
		if fields, ok := scanned([]byte(line)); ok {
			t.Errorf("%s is taken: %v", line, fields)
		}
	}
}

// FuzzScanJournal: what encoding/json reads of a line is what we read.
func FuzzScanJournal(f *testing.F) {
	for _, line := range journalLines {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		got, ok := scanned(line)
		if !json.Valid(line) || bytes.Count(line, []byte{'['})+bytes.Count(line, []byte{'{'}) > jsonDepth {
			return
		}
		d := json.NewDecoder(bytes.NewReader(line))
		if first, _ := d.Token(); first != json.Delim('{') {
			if ok {
				t.Errorf("no object, but %v", got)
			}
			return
		}
		var want []textField
		for d.More() {
			name, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			var value json.RawMessage
			if err := d.Decode(&value); err != nil {
				t.Fatal(err)
			}
			if text, isText := textOf(value); isText {
				want = append(want, textField{name.(string), string([]rune(text))})
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Error(ok, diff)
		}
	})
}

// textOf is what a field says by the rules of scanJournal.
func textOf(value json.RawMessage) (text string, isText bool) {
	if value[0] == '"' {
		return text, json.Unmarshal(value, &text) == nil
	}
	var list []json.RawMessage
	if value[0] != '[' || json.Unmarshal(value, &list) != nil {
		return "", false
	}
	var out []byte
	for _, one := range list {
		n, err := strconv.ParseUint(string(one), 10, 8)
		if err != nil {
			return text, list[0][0] == '"' && json.Unmarshal(list[0], &text) == nil
		}
		out = append(out, byte(n))
	}
	return string(out), true
}
