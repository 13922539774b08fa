package collectors

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// dumpMessage words a message of facts on one line, as protobuf's text format does: what is zero is left out.
func dumpMessage(m any) string {
	return strings.Join(dumpFields(reflect.ValueOf(m).Elem()), " ")
}

func dumpFields(v reflect.Value) (fields []string) {
	for i := range v.NumField() {
		f, name := v.Field(i), snake(v.Type().Field(i).Name)
		switch {
		case f.IsZero():
		case f.Kind() == reflect.Slice:
			for i := range f.Len() {
				fields = append(fields, name+":"+dumpValue(f.Index(i)))
			}
		case f.Kind() == reflect.Map:
			entries := f.Interface().(map[string]string)
			for _, key := range slices.Sorted(maps.Keys(entries)) {
				fields = append(fields, fmt.Sprintf("%s:{key:%q value:%q}", name, key, entries[key]))
			}
		default:
			fields = append(fields, name+":"+dumpValue(f))
		}
	}
	return fields
}

func dumpValue(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		return "{" + strings.Join(dumpFields(v.Elem()), " ") + "}"
	case reflect.String:
		return fmt.Sprintf("%q", v)
	}
	return fmt.Sprint(v)
}

// snake is the name of a field in facts.proto: memory_total_bytes for MemoryTotalBytes.
func snake(name string) string {
	var out strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}
