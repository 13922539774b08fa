package fleet

import (
	"encoding/json"
	"math"
)

// Reading is a number that may not be there: NaN is absent, which is never zero. Its unit is in the name of the field that holds it.
type Reading float64

// None is the absent reading.
func None() Reading { return Reading(math.NaN()) }

// Known says whether there is a value.
func (r Reading) Known() bool { return r == r }

// Or is the value, or other where there is none.
func (r Reading) Or(other float64) float64 {
	if r.Known() {
		return float64(r)
	}
	return other
}

// Share is r as a part of whole, in percent; absent where either is, or whole is nothing.
func (r Reading) Share(whole Reading) Reading {
	if !r.Known() || !whole.Known() || whole <= 0 {
		return None()
	}
	return 100 * r / whole
}

// MarshalJSON writes null for an absent reading.
func (r Reading) MarshalJSON() ([]byte, error) {
	if !r.Known() || math.IsInf(float64(r), 0) {
		return []byte("null"), nil
	}
	return json.Marshal(float64(r))
}

// UnmarshalJSON takes null for an absent reading.
func (r *Reading) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*r = None()
		return nil
	}
	return json.Unmarshal(b, (*float64)(r))
}
