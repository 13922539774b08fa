package recording

import (
	"encoding/json"
	"reflect"
	"time"

	"foretop/fleet"
	"foretop/telemetry"
)

// Kinds of records. Those of one node come first; one with keyBit set belongs to the keyframe that begins a segment.
const (
	recSample   = 1 // a track's next sample
	recFrame    = 2 // any other frame: its kind, its payload
	recStatus   = 3 // fleet.Status
	recLevel    = 4 // one byte: 1 it was looked at in full
	recJoined   = 5 // joining
	recLeft     = 6
	recNode     = 7 // fleet.KeptNode and a byte, its frames, its rates; a sample that tells all anew follows in the streams where it had one
	recProblems = 8 // of the node: []fleet.Problem

	recAlone    = 32 // first of those of no node
	recPicture  = 32 // schedulers.Picture
	recLog      = 33 // logged
	recAssemble = 34
	recJob      = 35 // verdict
	recBook     = 36 // fleet.KeptBook
	recKeyed    = 37 // the keyframe is whole
	recJoin     = 39 // as recAssemble, but nothing came of it beside what schedulers say: the latest counts
	recSpent    = 38 // what persons held so far: map[string]fleet.KeptSpent, by user
	recIncident = 40 // incident
	recOrder    = 41 // IDs of incidents, as they are shown

	keyBit = 0x80
)

func ofNode(kind byte) bool { return kind&^keyBit < recAlone }

// joining is a node's name, under the number that records have for it.
type joining struct {
	Name   string
	Listed bool
}

// logged is the end of a job's log.
type logged struct {
	Job  string
	Tail *fleet.LogTail
}

// verdict is how a job was judged; State and the like are the row's own, beside all that was found. A nil one: the job is gone.
type verdict struct {
	Key      string
	Gone     bool `json:",omitempty"`
	State    fleet.JobState
	Severity fleet.Severity
	Text     string
	Findings []fleet.Verdict `json:",omitempty"`
	// Unchecked is what could not be looked at, RAS what NCCL said.
	Unchecked []string   `json:",omitempty"`
	RAS       *fleet.RAS `json:",omitempty"`
}

// What ends the words of a node's keyframe: whether a sample follows.
const (
	keptBare    = 0
	keptSampled = 1
)

// Mark is the beginning of one finding.
type Mark struct {
	At       time.Time
	Severity fleet.Severity
	Text     string
}

// About is what a recording is of.
type About struct {
	Title   string // of what was watched
	Version string // of the foretop that recorded it
	// IdleAfter is for how long a held GPU had to do nothing to count as idle; 0: as usual.
	IdleAfter time.Duration `json:",omitempty"`
}

// maxText is how long a string of a record may be; log lines and reasons are far shorter.
const maxText = 8 << 10

// decode reads a record's words and makes every text in them fit to be shown.
func decode(b []byte, into any) error {
	if err := json.Unmarshal(b, into); err != nil {
		return damaged("words: %v", err)
	}
	clean(reflect.ValueOf(into))
	return nil
}

// clean goes through all text that a value holds.
func clean(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			clean(v.Elem())
		}
	case reflect.Struct:
		if _, ok := v.Interface().(time.Time); ok {
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() || f.Kind() == reflect.Pointer {
				clean(f)
			}
		}
	case reflect.Slice, reflect.Array:
		if k := v.Type().Elem().Kind(); k == reflect.String || k == reflect.Struct || k == reflect.Pointer || k == reflect.Slice || k == reflect.Map {
			for i := range v.Len() {
				clean(v.Index(i))
			}
		}
	case reflect.Map:
		cleanMap(v)
	case reflect.String:
		if v.CanSet() {
			if s := v.String(); s != "" {
				v.SetString(telemetry.Clean(s, maxText))
			}
		}
	}
}

func cleanMap(v reflect.Value) {
	if v.IsNil() {
		return
	}
	for _, key := range v.MapKeys() {
		value := reflect.New(v.Type().Elem()).Elem()
		value.Set(v.MapIndex(key))
		clean(value)
		if key.Kind() == reflect.String && key.String() != telemetry.Clean(key.String(), maxText) {
			v.SetMapIndex(key, reflect.Value{})
			continue
		}
		v.SetMapIndex(key, value)
	}
}
