package collectors

import "strings"

// isPCI says whether a name is a PCI address: dddd:bb:dd.f.
func isPCI(s string) bool {
	if len(s) != len("dddd:bb:dd.f") {
		return false
	}
	for i, c := range []byte(s) {
		switch i {
		case 4, 7:
			if c != ':' {
				return false
			}
		case 10:
			if c != '.' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}

// commonPath is where several functions hang that are used as one, such as the two ports of a bond: what their paths share, then the first of them, so that
// it reads as the path of one device. Empty where they share nothing, or one of them is not told.
func commonPath(paths []string) string {
	if len(paths) == 0 || paths[0] == "" {
		return ""
	}
	bridges, device := splitPath(paths[0])
	for _, p := range paths[1:] {
		other, _ := splitPath(p)
		for bridges != "" && other != bridges && !strings.HasPrefix(other, bridges+"/") {
			bridges, _ = splitPath(bridges)
		}
	}
	if bridges == "" {
		return ""
	}
	return bridges + "/" + device
}

func splitPath(p string) (above, last string) {
	i := strings.LastIndexByte(p, '/')
	if i < 0 {
		return "", p
	}
	return p[:i], p[i+1:]
}
