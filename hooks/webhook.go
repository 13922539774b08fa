package hooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"text/template"
	"time"

	"foretop/config"
)

// webhook posts events.
type webhook struct {
	url     secret
	headers map[string]secret
	body    *template.Template // nil: the event as JSON
	content string
	client  *http.Client
}

const jsonType = "application/json"

func newWebhook(c *config.Hook, getenv func(string) string) (*webhook, error) {
	w := &webhook{headers: map[string]secret{}, content: orElse(c.ContentType, jsonType)}
	var err error
	if w.url, err = openSecret(c.URL, c.URLEnv, c.URLFile, getenv); err != nil {
		return nil, fmt.Errorf("its URL: %w", err)
	}
	if _, err := w.address(); err != nil {
		return nil, err
	}
	for name, value := range c.Headers {
		w.headers[name] = secret{plain: value}
	}
	for name, env := range c.HeadersEnv {
		if w.headers[name], err = openSecret("", env, "", getenv); err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
	}
	for name, file := range c.HeadersFile {
		if w.headers[name], err = openSecret("", "", file, getenv); err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
	}
	kind, _, err := mime.ParseMediaType(w.content)
	if err != nil {
		return nil, fmt.Errorf("content_type %q: %w", w.content, err)
	}
	if c.Body != "" {
		if w.body, err = parseTemplate("body", c.Body); err != nil {
			return nil, err
		}
		if kind == jsonType {
			if err := checkJSON(w.body); err != nil {
				return nil, fmt.Errorf("body: %w", err)
			}
		}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost, transport.IdleConnTimeout = 1, 30*time.Second
	w.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // its headers are for this address only
	}
	return w, nil
}

// address is the URL now.
func (w *webhook) address() (string, error) {
	text, err := w.url.value()
	if err != nil {
		return "", fmt.Errorf("its URL: %w", err)
	}
	if err := config.CheckHookURL(text); err != nil {
		return "", fmt.Errorf("its URL: %w", err)
	}
	return text, nil
}

// maxAnswer is how much of an answer is read, and thrown away: the connection can be used again then.
const maxAnswer = 64 << 10

// longestAfter bounds what a server may ask for by Retry-After.
const longestAfter = time.Minute

// send posts one event.
func (w *webhook) send(ctx context.Context, e *Event) error {
	body, err := w.filled(e)
	if err != nil {
		return err
	}
	address, err := w.address()
	if err != nil {
		return err
	}
	secrets := []string{address}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return hidden(err, secrets...)
	}
	req.Header.Set("Content-Type", w.content)
	req.Header.Set("User-Agent", "foretop")
	for name, s := range w.headers {
		value, err := s.value()
		if err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
		secrets = append(secrets, value)
		req.Header.Set(name, value)
	}
	answer, err := w.client.Do(req)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return &tryAgain{err: errors.New("no answer in time")}
		}
		return &tryAgain{err: hidden(err, secrets...)}
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer)) // what it says is not told: it may hold what it was sent
	return verdict(answer)
}

func (w *webhook) filled(e *Event) ([]byte, error) {
	if w.body == nil {
		return json.Marshal(e)
	}
	return fill(w.body, e)
}

// verdict is what an answer means: taken, refused, or to be tried again.
func verdict(answer *http.Response) error {
	err := fmt.Errorf("the server answers %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return fmt.Errorf("%w: it is not followed to another address; write that one", err)
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		again := &tryAgain{err: err}
		if s, e := strconv.Atoi(strings.TrimSpace(answer.Header.Get("Retry-After"))); e == nil && s > 0 {
			again.after = min(time.Duration(min(s, 3600))*time.Second, longestAfter)
		}
		return again
	}
	return err
}
