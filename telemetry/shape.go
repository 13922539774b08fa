package telemetry

// Shape is a number for the form of a kernel line: lines that differ in numbers only have the same. What tells things apart is kept: PCI addresses,
// IPv4 addresses, names with digits in them (nvme0n1, mlx5_0, ens1np0), and of an Xid or SXid its code and MIG instance; of the Xids of NVLink 5
// (144 to 150), whose meaning is in their numbers, also those.
//
// Both ends fold equal lines by it: a collector before it sends them, the front end when it shows them.
func Shape[T string | []byte](text T) uint64 {
	h := uint64(fnvOffset)
	codes := codesOf(text)
	words := 0     // of an NVLink 5 Xid, that are to be kept: its intrinfo and its error status
	named := false // the word before was a name with digits
	for i := 0; i < len(text); {
		c := text[i]
		if !wordByte(c) {
			if codes && c == ')' && i+2 < len(text) && text[i+1] == ':' && text[i+2] == ' ' { // the code follows
				codes = false
				from := i + 3
				to := from
				for to < len(text) && digit(text[to]) {
					to++
				}
				if nvlink5(text, from, to) {
					words = 2
				}
				h = mixAll(h, text, i, to)
				i = to
				continue
			}
			h = mix(h, c)
			named = named && c == '.' // eth0.100
			i++
			continue
		}
		if n := addressLength(text, i); n > 0 {
			h = mixAll(h, text, i, i+n)
			i += n
			continue
		}
		to := i + 1
		some, every := byteKinds[c], byteKinds[c]
		for ; to < len(text) && wordByte(text[to]); to++ {
			k := byteKinds[text[to]]
			some, every = some|k, every&k
		}
		first, digits, all, hexadecimal := digit(c), some&isDigit != 0, every&isDigit != 0, every&isHex != 0
		number := c == '0' && to-i > 2 && text[i+1] == 'x'
		switch {
		case !digits || codes || words > 0 && (all || number):
			h = mixAll(h, text, i, to)
			if number {
				words--
			}
		case all && (named || i >= 3 && text[i-1] == '-' && text[i-2] == 'm' && text[i-3] == 'd'): // eth0.100, dm-0
			h = mixAll(h, text, i, to)
		case all, number, hexadecimal && to-i >= 8, to-i > maxName:
			h = mix(h, '#')
		case first: // 27s, 4096kB
			at := i
			for digit(text[at]) {
				at++
			}
			h = mixAll(mix(h, '#'), text, at, to)
		case cpuNumber(text, i, to):
			h = mix(mixAll(h, text, i, i+3), '#')
		default:
			h = mixAll(h, text, i, to)
		}
		named = digits && !first && to-i <= maxName
		i = to
	}
	return h
}

const (
	fnvOffset = 14695981039346656037 // FNV-1a
	fnvPrime  = 1099511628211
	maxName   = 20 // of an interface or a disk: longer words with digits in them are identifiers
)

func mix(h uint64, c byte) uint64 { return (h ^ uint64(c)) * fnvPrime }

func mixAll[T string | []byte](h uint64, text T, from, to int) uint64 {
	for ; from < to; from++ {
		h = (h ^ uint64(text[from])) * fnvPrime
	}
	return h
}

const (
	isDigit = 1 << iota
	isHex
	isWord
)

// byteKinds says what each byte is.
var byteKinds = func() (kinds [256]uint8) {
	for c := range kinds {
		lower := c | 0x20
		switch {
		case '0' <= c && c <= '9':
			kinds[c] = isDigit | isHex | isWord
		case c < 0x80 && 'a' <= lower && lower <= 'f':
			kinds[c] = isHex | isWord
		case c < 0x80 && 'a' <= lower && lower <= 'z', c == '_', c >= 0x80:
			kinds[c] = isWord
		}
	}
	return kinds
}()

func digit(c byte) bool { return byteKinds[c]&isDigit != 0 }

func hexDigit(c byte) bool { return byteKinds[c]&isHex != 0 }

func wordByte(c byte) bool { return byteKinds[c]&isWord != 0 }

// codesOf says that a line is an Xid or SXid: what stands in its brackets names the device.
func codesOf[T string | []byte](text T) bool {
	return len(text) > 16 && (hasPrefix(text, "NVRM: Xid (") || hasPrefix(text, "nvidia-nvswitch"))
}

func hasPrefix[T string | []byte](text T, prefix string) bool {
	return len(text) >= len(prefix) && string(text[:len(prefix)]) == prefix
}

// nvlink5 says whether digits are a code from 144 to 150.
func nvlink5[T string | []byte](text T, from, to int) bool {
	if to-from != 3 {
		return false
	}
	code := int(text[from]-'0')*100 + int(text[from+1]-'0')*10 + int(text[from+2]-'0')
	return 144 <= code && code <= 150
}

// cpuNumber says whether a word is CPU18: any of a machine's many.
func cpuNumber[T string | []byte](text T, from, to int) bool {
	if to-from < 4 || text[from]|0x20 != 'c' || text[from+1]|0x20 != 'p' || text[from+2]|0x20 != 'u' {
		return false
	}
	for i := from + 3; i < to; i++ {
		if !digit(text[i]) {
			return false
		}
	}
	return true
}

// addressLength is the length of the PCI address (0000:3b:00.0, 0000:3b:00, 3b:00.0) or IPv4 address that begins at i; 0 for none.
func addressLength[T string | []byte](text T, i int) int {
	if !hexDigit(text[i]) {
		return 0
	}
	n := i
	for n < len(text) && hexDigit(text[n]) {
		n++
	}
	switch {
	case n >= len(text):
		return 0
	case text[n] == '.' && n-i <= 3:
		return ipv4Length(text, i)
	case text[n] != ':':
		return 0
	case n-i == 2: // 3b:00.0
		if end := n + 5; busDevice(text, n-2) && end <= len(text) && text[n+3] == '.' && digit(text[n+4]) && bounded(text, end) {
			return end - i
		}
		return 0
	case n-i >= 4 && n-i <= 8:
		if !busDevice(text, n+1) {
			return 0
		}
		end := n + 6
		if end+1 < len(text) && text[end] == '.' && digit(text[end+1]) && bounded(text, end+2) {
			return end + 2 - i
		}
		if bounded(text, end) {
			return end - i
		}
	}
	return 0
}

// busDevice says whether bb:dd stands at i.
func busDevice[T string | []byte](text T, i int) bool {
	return i+5 <= len(text) && hexDigit(text[i]) && hexDigit(text[i+1]) && text[i+2] == ':' && hexDigit(text[i+3]) && hexDigit(text[i+4])
}

func ipv4Length[T string | []byte](text T, i int) int {
	at := i
	for part := range 4 {
		from := at
		for at < len(text) && digit(text[at]) {
			at++
		}
		if at == from || at-from > 3 {
			return 0
		}
		if part < 3 {
			if at == len(text) || text[at] != '.' {
				return 0
			}
			at++
		}
	}
	if !bounded(text, at) {
		return 0
	}
	return at - i
}

// bounded says that no word goes on at i.
func bounded[T string | []byte](text T, i int) bool { return i >= len(text) || !wordByte(text[i]) }
