package findings

import (
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// codeTable reads a table of codes, a row each with the code first, below a row of titles; row reads one, false where it is not right.
func codeTable[T any](text string, row func(code int, fields []string) (T, bool)) (map[int]T, error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, err
	}
	table := make(map[int]T, len(rows))
	for _, r := range rows[1:] {
		code, err := strconv.Atoi(r[0])
		if err != nil {
			return nil, err
		}
		x, ok := row(code, r)
		if !ok {
			return nil, fmt.Errorf("code %d: %q", code, r)
		}
		table[code] = x
	}
	return table, nil
}

// embedded is a table that is part of the program, read when it is first needed.
func embedded[T any](name, text string, parse func(string) (map[int]T, error)) func() map[int]T {
	return sync.OnceValue(func() map[int]T {
		table, err := parse(text)
		if err != nil {
			panic("embedded " + name + " table: " + err.Error()) // a test reads it
		}
		return table
	})
}
