package overview

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
)

// series is what a reader is given, kept.
type series struct {
	labels map[string]string
	at     float64
	value  float64
}

func readAll(text string) ([]series, *vector, error) {
	var all []series
	v, err := readVector(strings.NewReader(text), func(labels []label, at, value float64) {
		s := series{map[string]string{}, at, value}
		for _, l := range labels {
			s.labels[string(l.name)] = string(l.value)
		}
		all = append(all, s)
	})
	return all, v, err
}

func TestReadVector(t *testing.T) {
	const prometheus = `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"up","Hostname":"gpu001","gpu":"0"},"value":[1732652000.123,"97"]},
 {"value":[1732652000.123,"-1.5e3"],"metric":{}},{"metric":{"a":"\"\\\/\u00e9\ud83d\n"},"value":[1,"NaN"]},{"metric":{"h":"1"},"histogram":[1,{"count":"3","buckets":[[0,"1","2","3"]]}]},
 {"metric":{"i":"+"},"value":[ 1 , "+Inf" ] } ]},"warnings":["slow","w2"],"infos":[]}`
	all, v, err := readAll(prometheus)
	if err != nil || v.series != 5 || len(all) != 4 || len(v.notes) != 2 {
		t.Fatalf("%v, %d series, %d told, notes %q", err, v.series, len(all), v.notes)
	}
	if s := all[0]; s.labels["Hostname"] != "gpu001" || s.labels["gpu"] != "0" || s.at != 1732652000.123 || s.value != 97 || all[1].value != -1500 || len(all[1].labels) != 0 {
		t.Errorf("%+v", all)
	}
	if s := all[2]; s.labels["a"] != "\"\\/é\ufffd " || !math.IsNaN(s.value) || !math.IsInf(all[3].value, 1) {
		t.Errorf("%+v", all[2:])
	}
	_, v, err = readAll(`{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]},"stats":{"seriesFetched": "12","x":[1,{"y":null}]}}`) // VictoriaMetrics
	if err != nil || !v.partial {
		t.Errorf("%v, partial %v", err, v.partial)
	}
}

// Each answer that is none is named, whatever was read before it.
func TestBrokenAnswers(t *testing.T) {
	whole := `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1.5,"2"]}]}}`
	for i := range len(whole) - 1 {
		if _, _, err := readAll(whole[:i]); err == nil {
			t.Errorf("cut after %d bytes: no error", i)
		}
	}
	for text, want := range map[string]string{
		`{"status":"error","errorType":"bad_data","error":"parse error"}`:      "parse error",
		`{"status":"success","data":{"resultType":"matrix","result":[]}}`:      "matrix",
		`{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`: "scalar",
		`<html>`:               "'<' where",
		`[]`:                   "'[' where",
		`{}`:                   "no status",
		`{"status":"success"}`: `type is ""`,
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":5},"value":[1,"2"]}]}}`:                     "'5' where",
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,"two"]}]}}`:                 "no number",
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1,2]}]}}`:                     "'2' where",
		`{"status":"success","data":{"resultType":"vector","result":{}}}`:                                                       "'{' where",
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"` + strings.Repeat("x", 30000) + `"}}]}}`:  "more than 4096 bytes",
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"` + strings.Repeat("x", 300000) + `"}}]}}`: "more than 4096 bytes",
		`{"x":` + strings.Repeat(`[`, 1000):                                                                                          "nested too deep",
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"\q"}}]}}`:                                       "an escape",
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"\u12"}}]}}`:                                     "an escape",
		`{"status":"success","data":{"resultType":"vector","result":[{"metric":{` + strings.Repeat(`"a":"b",`, 100) + `"a":"b"}}]}}`: "64 labels",
	} {
		if _, _, err := readAll(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.100s: %v, want %s", text, err, want)
		}
	}
}

func TestParseFloat(t *testing.T) {
	for _, text := range []string{"0", "-0", "97", "694.25", "-1.5", "0.001", "123456789012345", "1234567890.12345", "1e3", "NaN", "+Inf", "-Inf", ".5", "5.", "1.2.3", "", "-", "--1", "0x10", "1_000", "99999999999999999999", "0.1", "3.3333333333333335"} {
		want, wrong := strconv.ParseFloat(text, 64)
		got, err := parseFloat([]byte(text))
		if (err != nil) != (wrong != nil) || err == nil && math.Float64bits(got) != math.Float64bits(want) && want == want {
			t.Errorf("%q: %v %v, strconv says %v %v", text, got, err, want, wrong)
		}
	}
}

// FuzzReadVector: whatever a server says costs no panic, and what it is read as is what encoding/json reads.
func FuzzReadVector(f *testing.F) {
	f.Add(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":"b\u00e9"},"value":[1.5,"2"]}]}}`)
	f.Add(`{"status":"error","error":"x"}`)
	f.Add(`{"data":{"result":[{"value":[1,"1"]}],"resultType":"vector"},"status":"success","x":{"y":[1,true,null,"z"]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		all, _, err := readAll(text)
		if err != nil || !json.Valid([]byte(text)) { // ours reads what is needed, and does not check what it skips
			return
		}
		var other struct {
			Data struct {
				Result []struct {
					Metric map[string]string
					Value  []any
				}
			}
		}
		if json.Unmarshal([]byte(text), &other) != nil {
			return // a key twice, in another case
		}
		values := 0
		for _, r := range other.Data.Result {
			if len(r.Value) == 2 {
				values++
			}
		}
		if strings.Count(strings.ToLower(text), `"result"`) == 1 && values > len(all) && !strings.Contains(strings.ToLower(text), `\u`) {
			t.Errorf("%d series of %d: %s", len(all), values, text)
		}
	})
}

func BenchmarkReadVector(b *testing.B) {
	var text strings.Builder
	text.WriteString(`{"status":"success","data":{"resultType":"vector","result":[`)
	for i := range 160_000 {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"metric":{"Hostname":"node%05d","gpu":"%d","instance":"10.1.%d.%d:9400"},"value":[1732652000.123,"%d.5"]}`, i/8, i%8, i/8/250, i/8%250, i%100)
	}
	text.WriteString(`]}}`)
	b.SetBytes(int64(text.Len()))
	for b.Loop() {
		n := 0
		if _, err := readVector(strings.NewReader(text.String()), func([]label, float64, float64) { n++ }); err != nil || n != 160_000 {
			b.Fatal(n, err)
		}
	}
}
