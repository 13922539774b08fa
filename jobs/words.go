package jobs

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

// maxAddresses bounds what is read of one list of tasks or hosts.
const maxAddresses = 4096

// tfConfig is what is read of TF_CONFIG.
type tfConfig struct {
	tasks map[string][]string // addresses by role, in the order of their index
	role  string              // this task's; "" unknown
	index int                 // -1 unknown
	cut   bool                // the text ends early: there may be more tasks
}

// parseTFConfig reads as far as the text is JSON: a long one is cut on its way. A sparse cluster, {"worker": {"1": "h:p"}}, gives the addresses that it has.
func parseTFConfig(text string) tfConfig {
	t := tfConfig{tasks: map[string][]string{}, index: -1}
	n := 0
	t.cut = !walkJSON(text, func(path []string, value any) {
		switch {
		case len(path) == 3 && path[0] == "cluster" && n < maxAddresses:
			if s, ok := value.(string); ok && s != "" && path[1] != "" {
				t.tasks[path[1]] = append(t.tasks[path[1]], s)
				n++
			}
		case len(path) == 2 && path[0] == "task" && path[1] == "type":
			t.role, _ = value.(string)
		case len(path) == 2 && path[0] == "task" && path[1] == "index":
			switch x := value.(type) {
			case json.Number:
				if i, ok := parseIndex(x.String()); ok {
					t.index = i
				}
			case string:
				if i, ok := parseIndex(x); ok {
					t.index = i
				}
			}
		}
	})
	return t
}

// parseWorldInfo reads --world_info of DeepSpeed's launcher: base64, with the URL's alphabet, of {"HOST": [GPU, …], …} (deepspeed/launcher/runner.py,
// encode_world_info). The hosts are in the order of their node ranks; world is 0 where the text is cut.
func parseWorldInfo(text string) (hosts []string, world int) {
	text = strings.TrimRight(text, "=")
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil && len(b) == 0 {
		return nil, 0
	}
	whole := walkJSON(string(b), func(path []string, value any) {
		if _, ok := value.(json.Number); !ok || len(path) != 2 || len(hosts) >= maxAddresses {
			return
		}
		if host := path[0]; len(hosts) == 0 || hosts[len(hosts)-1] != host {
			if host == "" || strings.ContainsAny(host, ",[]") || slices.Contains(hosts, host) {
				return
			}
			hosts = append(hosts, host)
		}
		world++
	})
	if !whole || err != nil {
		world = 0
	}
	return hosts, world
}

// walkJSON calls leaf for each value that is no object or list, with the keys and indices that lead to it, and says whether all of the text was read.
func walkJSON(text string, leaf func(path []string, value any)) bool {
	const maxDepth = 8
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var path []string // one for each level that is open, the key or index that comes next
	var isList []bool // of each level
	var awaits []bool // of each object: a key comes next
	top := func() int { return len(path) - 1 }
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		if i := top(); i >= 0 && !isList[i] && awaits[i] {
			if key, ok := token.(string); ok {
				path[i], awaits[i] = key, false
				continue
			}
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if len(path) == maxDepth {
				return false
			}
			path, isList, awaits = append(path, ""), append(isList, token == json.Delim('[')), append(awaits, true)
			continue
		case json.Delim('}'), json.Delim(']'):
			i := top()
			path, isList, awaits = path[:i], isList[:i], awaits[:i]
		default:
			leaf(path, token)
		}
		i := top()
		if i < 0 {
			return true
		}
		awaits[i] = true
	}
}
