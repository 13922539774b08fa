package telemetry

import "strings"

// A stream starts with one text line, so that whatever a login shell prints first can be skipped. The nonce makes the line unguessable by
// noise: the front end puts NonceVar=NONCE into the command that it runs, and only the collector started by it repeats it.
const (
	NonceVar   = "FORETOP_NONCE"
	NonceBytes = 8 // random bytes; twice as many hex digits

	streamWord = "FORETOP-STREAM "
	needWord   = "FORETOP-NEED "
	failWord   = "FORETOP-FAIL "
)

// StreamLine is the line after which binary frames follow at once.
func StreamLine(nonce string) string { return streamWord + nonce + "\n" }

// NeedPrefix begins the line by which a node says that it has no usable collector: the prefix, then "OS ARCH REASON…\n".
func NeedPrefix(nonce string) string { return needWord + nonce + " " }

// FailPrefix begins the line by which a node says why it cannot run a collector: the prefix, then "WORD TEXT…\n".
func FailPrefix(nonce string) string { return failWord + nonce + " " }

// NonceIn finds the nonce in a start command, as a server without a shell (a simulated node) must.
func NonceIn(command string) (nonce string, ok bool) {
	_, rest, found := strings.Cut(command, NonceVar+"=")
	if !found || len(rest) < 2*NonceBytes {
		return "", false
	}
	nonce = rest[:2*NonceBytes]
	for _, c := range []byte(nonce) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return "", false
		}
	}
	return nonce, true
}
