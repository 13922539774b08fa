package simfleet

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// WriteFiles writes what OpenSSH and its relatives need to reach the fleet into a folder that exists: ssh_config with an alias for each node, known_hosts, and the
// client's key in id_ed25519. It returns the path of ssh_config, for `ssh -F`.
func (f *Fleet) WriteFiles(dir string) (config string, err error) {
	block, err := ssh.MarshalPrivateKey(f.private, "foretop simulated fleet")
	if err != nil {
		return "", fmt.Errorf("write client key: %w", err)
	}
	return writeFiles(dir, f.Nodes(), pem.EncodeToMemory(block))
}

// WriteFiles writes what [Fleet.WriteFiles] does.
func (c *Child) WriteFiles(dir string) (config string, err error) {
	return writeFiles(dir, c.nodes, c.key)
}

func writeFiles(dir string, nodes []NodeInfo, key []byte) (config string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("write fleet files: %w", err)
	}
	var conf, known strings.Builder
	for _, n := range nodes {
		fmt.Fprintf(&conf, "Host %s\n  HostName %s\n  Port %d\n", n.Name, n.Addr, n.Port)
		fmt.Fprintf(&known, "[%s]:%d %s %s\n", n.Addr, n.Port, n.HostKey.Type(), base64.StdEncoding.EncodeToString(n.HostKey.Marshal()))
	}
	fmt.Fprintf(&conf, "Host *\n  User %s\n  IdentityFile \"%s\"\n  IdentitiesOnly yes\n  UserKnownHostsFile \"%s\"\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n",
		User, filepath.Join(dir, "id_ed25519"), filepath.Join(dir, "known_hosts"))
	for name, text := range map[string]string{"ssh_config": conf.String(), "known_hosts": known.String(), "id_ed25519": string(key)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", fmt.Errorf("write fleet files: %w", err)
		}
	}
	return filepath.Join(dir, "ssh_config"), nil
}
