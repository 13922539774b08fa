package testbed

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"golang.org/x/sync/errgroup"
)

// Do asks the API server as its administrator; an answer of 300 and above is an error with its words.
func (k *Kube) Do(method, path, contentType string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(k.t.Context(), method, k.Server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer admin")
	request.Header.Set("Content-Type", contentType)
	answer, err := k.client().Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	out, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if answer.StatusCode >= 300 {
		return out, fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, out)
	}
	return out, nil
}

func (k *Kube) client() *http.Client {
	k.once.Do(func() {
		k.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 16}, Timeout: time.Minute}
		k.t.Cleanup(k.http.CloseIdleConnections)
	})
	return k.http
}

// object is what of an object its address depends on.
type object struct {
	APIVersion, Kind string
	Metadata         struct{ Namespace, Name string }
	Status           json.RawMessage
}

// path is the address of the objects of this kind in that namespace.
func (o object) path() string {
	path := "/apis/" + o.APIVersion
	if !strings.Contains(o.APIVersion, "/") {
		path = "/api/" + o.APIVersion
	}
	if o.Metadata.Namespace != "" {
		path += "/namespaces/" + o.Metadata.Namespace
	}
	return path + "/" + strings.ToLower(o.Kind) + "s"
}

// Apply creates the objects of YAML documents with their status, and the namespaces that they are in. A kind that was defined a moment ago may take another.
func (k *Kube) Apply(documents string) {
	k.t.Helper()
	for document := range strings.SplitSeq(documents, "\n---\n") {
		body, err := yaml.YAMLToJSON([]byte(document))
		k.must(err)
		var o object
		if json.Unmarshal(body, &o) != nil || o.Kind == "" {
			continue // a comment
		}
		k.apply(o, body)
	}
}

func (k *Kube) apply(o object, body []byte) {
	k.t.Helper()
	if o.Kind == "Namespace" && k.namespaces[o.Metadata.Name] {
		return
	}
	if ns := o.Metadata.Namespace; ns != "" && !k.namespaces[ns] {
		_, err := k.Do(http.MethodPost, "/api/v1/namespaces", jsonType, fmt.Appendf(nil, `{"metadata":{"name":%q}}`, ns))
		k.must(err)
		k.namespaces[ns] = true
	}
	var err error
	for end := time.Now().Add(kubeStart); ; time.Sleep(100 * time.Millisecond) {
		if _, err = k.Do(http.MethodPost, o.path(), jsonType, body); err == nil || time.Now().After(end) || !strings.Contains(err.Error(), ": 404 ") {
			break
		}
	}
	k.must(err)
	if o.Kind == "Namespace" {
		k.namespaces[o.Metadata.Name] = true
	}
	if o.Status != nil {
		k.SetStatus(o.path()+"/"+o.Metadata.Name, fmt.Sprintf(`{"status":%s}`, o.Status))
	}
}

// ApplyMany creates n objects, which make gives as JSON, several at a time.
func (k *Kube) ApplyMany(n int, make func(i int) string) {
	k.t.Helper()
	var group errgroup.Group
	group.SetLimit(16)
	for i := range n {
		group.Go(func() error {
			body := []byte(make(i))
			var o object
			if err := json.Unmarshal(body, &o); err != nil {
				return err
			}
			_, err := k.Do(http.MethodPost, o.path(), jsonType, body)
			return err
		})
	}
	k.must(group.Wait())
}

const jsonType = "application/json"

// SetStatus merges a status into an object's, as its kubelet or its controller would.
func (k *Kube) SetStatus(path, patch string) {
	k.t.Helper()
	_, err := k.Do(http.MethodPatch, path+"/status", "application/merge-patch+json", []byte(patch))
	k.must(err)
}
