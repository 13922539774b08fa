package testbed

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// writeFiles makes a certificate that signs itself, the tokens and the administrator's kubeconfig.
func (k *Kube) writeFiles() {
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "foretop-test", Organization: []string{"system:masters"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	k.must(err)
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	k.must(err)
	der, err := x509.MarshalECPrivateKey(key)
	k.must(err)
	k.ca = k.file("server.crt")
	k.must(os.WriteFile(k.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	k.must(os.WriteFile(k.file("server.key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600))
	tokens := "admin,admin,admin,\"system:masters\"\n"
	for _, u := range kubeUsers {
		tokens += u + "," + u + "," + u + "\n"
	}
	k.must(os.WriteFile(k.file("tokens.csv"), []byte(tokens), 0o600))
	k.writeKubeconfig(k.Kubeconfig, "admin", "admin", "default")
}

func (k *Kube) writeKubeconfig(path, context, token, namespace string) {
	k.must(os.WriteFile(path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: %[1]s
contexts: [{name: %[1]s, context: {cluster: test, user: %[1]s, namespace: %[2]s}}]
clusters: [{name: test, cluster: {server: "%[3]s", certificate-authority: "%[4]s"}}]
users: [{name: %[1]s, user: {token: %[5]s}}]
`, context, namespace, k.Server, k.ca, token), 0o600))
}

func (k *Kube) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}
