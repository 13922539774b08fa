package overview

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"foretop/telemetry"
)

// Problem is what is wrong with a server or its answers, for people.
type Problem struct {
	Text   string
	Remedy string // "" none is known

	all  bool // no other query would fare better
	slow bool // it took too long
}

func (p *Problem) Error() string { return p.Text }

const (
	maxTokenBytes = 64 << 10
	maxErrorBytes = 64 << 10 // of an answer that says what is wrong
	maxWords      = 300      // of it that are shown
)

// client asks one server.
type client struct {
	http     *http.Client
	base     *url.URL // without user and password
	user     *url.Userinfo
	token    string // file
	timeout  time.Duration
	readFile func(string) ([]byte, error)
}

func newClient(cfg Config) (*client, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the server's URL is wrong: write http://HOST:PORT or https://HOST, with the path that it is served under")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the server's URL has a query or fragment: leave out what follows the path")
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext, TLSHandshakeTimeout: 10 * time.Second,
		ResponseHeaderTimeout: cfg.Timeout, MaxIdleConnsPerHost: atOnce, IdleConnTimeout: 2 * time.Minute, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: cfg.Insecure},
	}
	if cfg.CAFile != "" {
		text, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read prometheus.ca_file: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("prometheus.ca_file: %s holds no certificate in PEM", cfg.CAFile)
		}
		transport.TLSClientConfig.RootCAs = pool
	}
	c := &client{http: &http.Client{Transport: transport}, user: u.User, token: cfg.TokenFile, timeout: cfg.Timeout, readFile: readSmall}
	u.User = nil
	if u.Path == "" {
		u.Path = "/"
	}
	c.base = u.JoinPath("api/v1/query")
	return c, nil
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxTokenBytes))
}

// query asks for an expression's value now, and gives each of its series as it arrives.
func (c *client) query(ctx context.Context, expression string, each func(labels []label, at, value float64)) (*vector, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	u := *c.base
	u.RawQuery = url.Values{"query": {expression}, "timeout": {c.timeout.String()}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, &Problem{Text: "the request cannot be made: " + err.Error()}
	}
	if err := c.authorize(r); err != nil {
		return nil, err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, c.refused(answer)
	}
	v, err := readVector(answer.Body, each)
	if err != nil {
		return v, c.failed(ctx, err)
	}
	return v, nil
}

// authorize says who asks. The token is read each time: some are renewed every hour.
func (c *client) authorize(r *http.Request) error {
	if c.user != nil {
		password, _ := c.user.Password()
		r.SetBasicAuth(c.user.Username(), password)
	}
	if c.token == "" {
		return nil
	}
	text, err := c.readFile(c.token)
	if err != nil {
		return &Problem{Text: "read prometheus.token_file: " + err.Error(), Remedy: "correct it in the configuration file", all: true}
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return &Problem{Text: "prometheus.token_file: " + c.token + " holds no token", Remedy: "it is one line", all: true}
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return nil
}

// failed puts what went wrong on the way into words. Of an error only the innermost words are of use; none of them holds the password.
func (c *client) failed(ctx context.Context, err error) *Problem {
	var answer *errAnswer
	var netErr net.Error
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return &Problem{Text: fmt.Sprintf("no whole answer within %v", c.timeout), Remedy: "prometheus.timeout in the configuration file waits longer", slow: true}
	case errors.As(err, &answer):
		return &Problem{Text: short(err.Error()), Remedy: "is it a Prometheus server, or one that speaks as one?"}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Problem{Text: "the answer ends in the middle"}
	case errors.As(err, &unknown):
		return &Problem{Text: short(unknown.Error()), Remedy: "prometheus.ca_file in the configuration file names the certificate to trust", all: true}
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &Problem{Text: short(err.Error()), Remedy: "is the server up, at " + c.base.Host + "?", all: true}
}

// refused puts an answer that is no answer into words: the server's own, where it has any.
func (c *client) refused(answer *http.Response) *Problem {
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxErrorBytes))
	var said struct{ Error string }
	p := &Problem{Text: answer.Status}
	if json.Unmarshal(text, &said) == nil && said.Error != "" {
		p.Text += ": " + said.Error
	}
	p.Text = short(p.Text)
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		p.all = true
		p.Remedy = "write USER:PASSWORD@ before the host in the URL, or name a file with a token: prometheus.token_file in the configuration file"
	case http.StatusNotFound:
		p.all = true
		p.Remedy = "no query is answered at " + c.base.RequestURI() + ": does the URL have the path that it is served under?"
	}
	return p
}

func short(s string) string { return telemetry.Clean(s, maxWords) }
