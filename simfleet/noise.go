package simfleet

// noise is a small generator of repeatable noise (splitmix64). The same seed gives the same sequence on every machine, for ever: the goldens of the
// model depend on it.
type noise uint64

func (n *noise) next() uint64 {
	*n += 0x9e3779b97f4a7c15
	return scramble(uint64(*n))
}

// unit is in [0, 1).
func (n *noise) unit() float64 { return float64(n.next()>>11) / (1 << 53) }

// about is in (-1, 1), around 0, most often near it.
func (n *noise) about() float64 { return n.unit() + n.unit() - 1 }

func scramble(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// hash makes one number out of several: what must always be the same for the same thing (the serial number of a GPU) comes from it.
func hash(parts ...uint64) uint64 {
	h := uint64(0x243f6a8885a308d3)
	for _, p := range parts {
		h = scramble(h ^ p*0x9e3779b97f4a7c15)
	}
	return h
}

// hashUnit is hash, in [0, 1).
func hashUnit(parts ...uint64) float64 { return float64(hash(parts...)>>11) / (1 << 53) }

// word makes a number of a string, for hash (FNV-1a).
func word(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
