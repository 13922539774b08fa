package hooks

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// secret is a value that is in no message: it stands in the configuration, in a variable of the environment, or in a file that is read each time.
type secret struct {
	plain string
	env   string // name of the variable, whose value plain is
	file  string
}

// maxSecret bounds a secret's file.
const maxSecret = 16 << 10

// openSecret takes a secret from where it is, and fails where it is not there.
func openSecret(plain, env, file string, getenv func(string) string) (secret, error) {
	s := secret{plain: plain, env: env, file: file}
	if env != "" {
		if getenv == nil {
			getenv = os.Getenv
		}
		s.plain = getenv(env)
	}
	_, err := s.value()
	return s, err
}

// value is the secret now. Its errors name the variable or file, never what is in it.
func (s *secret) value() (string, error) {
	text := s.plain
	if s.file != "" {
		b, err := readSecret(s.file)
		if err != nil {
			return "", err
		}
		text = string(b)
	}
	text = strings.TrimSpace(text)
	where := s.file
	if where == "" && s.env != "" {
		where = "variable " + s.env
	}
	switch {
	case text == "":
		return "", fmt.Errorf("%s holds nothing", where)
	case strings.ContainsAny(text, "\r\n\x00"):
		return "", fmt.Errorf("%s holds more than one line", where)
	}
	return text, nil
}

func readSecret(file string) ([]byte, error) {
	if rest, ok := strings.CutPrefix(file, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, err
		}
		file = filepath.Join(home, rest)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err == nil && len(b) > maxSecret {
		err = fmt.Errorf("%s is larger than %d KiB", file, maxSecret>>10)
	}
	return b, err
}

// hidden is an error's text without secrets: the libraries below put URLs into theirs, and what a server says may hold what it was sent.
func hidden(err error, secrets ...string) error {
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err // without the URL
	}
	var network net.Error
	var certificate *tls.CertificateVerificationError
	if !errors.As(err, &network) && !errors.As(err, &certificate) {
		return errors.New("the connection broke, or what answers there does not speak HTTP, or not by TLS")
	}
	text := err.Error()
	for _, s := range secrets {
		for _, form := range forms(s) {
			text = strings.ReplaceAll(text, form, "…")
		}
	}
	return errors.New(plain(text))
}

// forms are the ways in which a secret may be written.
func forms(s string) []string {
	out := []string{s, url.QueryEscape(s), url.PathEscape(s)}
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		for _, part := range []string{u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery, u.User.String()} {
			if len(part) > 1 {
				out = append(out, part)
			}
		}
		if password, ok := u.User.Password(); ok {
			out = append(out, password)
		}
	}
	kept := out[:0]
	for _, form := range out {
		if len(form) > 3 {
			kept = append(kept, form)
		}
	}
	return kept
}
