package facts

const maxWord = 64

// words are texts of one message. Eight ranks have nearly the same environment, and a thousand links the same kind: such a text is kept once.
type words [256]string

func (w *words) text(b []byte) string {
	if len(b) > maxWord {
		return string(b)
	}
	sum := uint32(2166136261) // FNV-1a
	for _, c := range b {
		sum = (sum ^ uint32(c)) * 16777619
	}
	at := &w[(sum^sum>>16)%uint32(len(w))]
	if *at != string(b) {
		*at = string(b)
	}
	return *at
}
