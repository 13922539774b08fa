package testbed

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// writeKeyPair makes an ed25519 key, writes it and its public half (path.pub) and returns the public line.
func writeKeyPair(path string) ([]byte, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "foretop test bed")
	if err != nil {
		return nil, err
	}
	sshPublic, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, err
	}
	line := ssh.MarshalAuthorizedKey(sshPublic)
	return line, errors.Join(
		os.WriteFile(path, pem.EncodeToMemory(block), 0o600),
		os.WriteFile(path+".pub", line, 0o644),
	)
}

// writeClientFiles writes the ssh_config and the known_hosts of the bed.
func (b *Bed) writeClientFiles() error {
	var config, known strings.Builder
	for _, n := range b.Nodes {
		fmt.Fprintf(&config, "Host %s\n\tHostName %s\n\tPort %d\n\tUser %s\n", n.Name, n.Addr, n.Port, n.settings.user)
		path := filepath.Join(n.dir, "etc/ssh/ssh_host_ed25519_key.pub")
		switch n.settings.hostKey {
		case keyUnknown:
			continue
		case keyChanged:
			path = b.Key + ".pub"
		}
		line, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&known, "%s %s", n.Addr, line)
	}
	fmt.Fprintf(&config, "Host *\n\tIdentityFile %s\n\tIdentitiesOnly yes\n\tIdentityAgent none\n", b.Key)
	fmt.Fprintf(&config, "\tUserKnownHostsFile %s\n\tGlobalKnownHostsFile /dev/null\n", b.KnownHosts)
	fmt.Fprintf(&config, "\tStrictHostKeyChecking yes\n\tBatchMode yes\n")
	return errors.Join(
		os.WriteFile(b.SSHConfig, []byte(config.String()), 0o600),
		os.WriteFile(b.KnownHosts, []byte(known.String()), 0o600),
	)
}
