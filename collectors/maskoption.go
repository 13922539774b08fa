package collectors

import (
	"path"
	"slices"
	"strings"
)

// secretFlags are options that take a secret without saying so, by program. One that ends with a sign takes one only where its value holds that
// sign: curl -u ann is a name, curl -u ann:secret is more, and python -u in the same script is neither.
var secretFlags = map[string][]string{
	"mysql": {"-p"}, "mysqldump": {"-p"}, "mysqladmin": {"-p"}, "mariadb": {"-p"}, "mariadb-dump": {"-p"}, "sshpass": {"-p"}, "curl": {"-u:", "-U:", "-b=", "--user:", "--proxy-user:"},
	"redis-cli": {"-a"}, "ldapsearch": {"-w"}, "ldapmodify": {"-w"}, "docker": {"-p"}, "podman": {"-p"}, "skopeo": {"-p"}, "mongo": {"-p"},
	"mongosh": {"-p"}, "smbclient": {"-U%"}, "kinit": {"-w"}, "7z": {"-p"}, "zip": {"-P"}, "unzip": {"-P"}, "rclone": {"--sftp-pass"}, "openssl": {"-passin", "-passout", "-k", "-K"},
}

// passesNames come before the bare name of a variable whose value is not on the command line: mpirun -x HF_TOKEN python train.py.
var passesNames = map[string]bool{
	"-e": true, "-x": true, "-E": true, "--env": true, "--export": true, "-genvlist": true, "-envlist": true, "export": true, "unset": true, "readonly": true, "printenv": true, "read": true,
}

// alias is how far a command line is that gives an S3 client its keys by their place: mc alias set NAME URL ACCESS SECRET.
type alias uint8

const (
	noClient alias = iota
	noAlias
	aliasBegun
	keysToCome
)

// program notes the options of the program that a word names, wherever it stands: behind sudo, timeout or srun, or in a shell's script.
func (m *masker) program(w string) {
	piece := strings.TrimRight(w, "\"'`;|&)}")
	if i := strings.LastIndexAny(piece, ";|&({`"); i >= 0 {
		piece = piece[i+1:]
	}
	piece = path.Base(strings.Trim(piece, "\"'$"))
	for _, f := range secretFlags[piece] {
		if !slices.Contains(m.flags, f) {
			m.flags = append(m.flags, f)
		}
	}
	switch {
	case piece == "mc" || piece == "mcli":
		m.alias = noAlias
	case m.alias == noAlias && (piece == "set" && m.prev == "alias" || piece == "add" && m.prev == "host"):
		m.alias = aliasBegun
	}
}

// option masks a word that is, or holds, one of the options that take a secret.
func (m *masker) option(out []byte, w string) ([]byte, bool) {
	bare := strings.TrimLeft(w, `"'`)
	if len(bare) < 2 || bare[0] != '-' {
		return out, false
	}
	for _, f := range m.flags {
		name, sign, next := f, byte(0), sure
		if c := f[len(f)-1]; c == ':' || c == '=' || c == '%' {
			name, sign, next = f[:len(f)-1], c, signed
		}
		at := valueOf(bare, name, sign != 0)
		switch value := bare[max(at, 0):]; {
		case at < 0:
		case value == "":
			m.next, m.sign = next, sign
			return append(out, w...), true
		case sign == 0 || strings.IndexByte(value, sign) >= 0:
			m.open(w)
			return append(append(out, w[:len(w)-len(value)]...), masked...), true
		}
	}
	return out, false
}

// valueOf is where the value begins in a word that is the named option, -1 in others. Letters before the name's are other options in the same
// word: curl -sSu ann:secret.
func valueOf(w, name string, others bool) int {
	if w == name {
		return len(w)
	}
	if strings.HasPrefix(name, "--") || len(name) > 2 {
		if strings.HasPrefix(w, name+"=") {
			return len(name) + 1
		}
		return -1
	}
	if w[1] == '-' {
		return -1
	}
	if !others {
		if w[1] == name[1] {
			return 2
		}
		return -1
	}
	for i := 1; i < len(w); i++ {
		switch c := w[i]; {
		case c == name[1]:
			return i + 1
		case (c|0x20) < 'a' || (c|0x20) > 'z':
			return -1
		}
	}
	return -1
}
