//go:build unix

package sshpool

// identityCases: who logs in, with which key.
func identityCases() []fidelityCase {
	return []fidelityCase{
		{name: "plain"},
		{name: "another user", config: "User ftbash\n"},
		{name: "an unknown user", config: "User nobodyhere\n", end: endAuth},
		{name: "a key that is not let in", config: "IdentityFile {dir}/id-no\n", more: "IdentityFile {dir}/id-no\n"},
		{name: "the second key", config: "IdentityFile {dir}/id-no\nIdentityFile {root}/id\n"},
		{name: "no such key file", config: "IdentityFile {dir}/none\n"},
		{name: "rsa", config: "IdentityFile {dir}/id-rsa\n"},
		{name: "tokens in a file's name", config: "IdentityFile {dir}/%n-%r-%p\n"},
		{name: "a name with a space", config: "IdentityFile \"{dir}/with space\"\n"},
		{name: "agent", config: "IdentityAgent {agent}\nIdentitiesOnly no\nIdentityFile none\n"},
		{name: "agent and identities only", config: "IdentityAgent {agentno}\nIdentitiesOnly yes\n"},
		{name: "agent's key chosen by its public half", config: "IdentityAgent {agent}\nIdentityFile {dir}/id-agent.pub\n"},
		{name: "agent's wrong key first", config: "IdentityAgent {agentno}\nIdentitiesOnly no\n"},
		{name: "certificate beside the key", config: "IdentityFile {dir}/id-cert\n"},
		{name: "certificate by option", config: "CertificateFile {dir}/id-cert-cert.pub\nIdentityFile {dir}/id-cert\n"},
		{name: "certificate in the agent", config: "IdentityAgent {agentcert}\nIdentitiesOnly no\nIdentityFile none\n"},
		{name: "no public key at all", config: "PubkeyAuthentication no\n", end: endAuth},
		{name: "password preferred", config: "PreferredAuthentications password\n", end: endAuth},
		{name: "algorithms of keys", config: "PubkeyAcceptedAlgorithms rsa-sha2-512\nIdentityFile {dir}/id-rsa\n"},
		{name: "algorithms that no key has", config: "PubkeyAcceptedAlgorithms ssh-ed25519\nIdentityFile {dir}/id-rsa\nIdentityFile {dir}/id-no\n", end: ""},
		{name: "rsa too short", config: "RequiredRSASize 3072\nIdentityFile {dir}/id-rsa\n"},
	}
}

// matchCases: what of the configuration holds for a host.
func matchCases() []fidelityCase {
	return []fidelityCase{
		{name: "match exec", config: "", more: "Match exec \"{dir}/config-match-exec %n\"\n  User ftbash\n"},
		{name: "match final", more: "Match final host 127.0.0.1\n  SetEnv FT_X=final\n"},
		{name: "match user", more: "Match user ftsh\n  SetEnv FT_X=user\n"},
		{name: "include", config: "Include {dir}/included\n"},
		{name: "canonical, falling back", config: "CanonicalizeHostname yes\nCanonicalDomains invalid\n"},
		{name: "canonical, not falling back", config: "CanonicalizeHostname yes\nCanonicalDomains invalid\nCanonicalizeFallbackLocal no\nHostName h\n", end: endLost},
	}
}

// hostKeyCases: what is thought of a host key.
func hostKeyCases() []fidelityCase {
	return []fidelityCase{
		{name: "hashed", known: "{hashed}\n"},
		{name: "wildcard", known: "[127.0.0.*]:{port} {key}\n"},
		{name: "negated", known: "[127.0.0.*]:{port},![127.0.0.1]:{port} {key}\n", end: endTrust},
		{name: "without the port", known: "127.0.0.1 {key}\n"},
		{name: "a bad line before", known: "nonsense\n[127.0.0.1]:{port} {key}\n"},
		{name: "unknown, and asked", known: "# none\n", end: endTrust},
		{name: "unknown, strict", config: "StrictHostKeyChecking yes\n", known: "# none\n", end: endTrust},
		{name: "unknown, accept-new", config: "StrictHostKeyChecking accept-new\n", known: "# none\n"},
		{name: "unknown, no", config: "StrictHostKeyChecking no\n", known: "# none\n"},
		{name: "unknown, no file", config: "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n"},
		{name: "changed", known: "[127.0.0.1]:{port} {other}\n", end: endTrust},
		{name: "changed, accept-new", config: "StrictHostKeyChecking accept-new\n", known: "[127.0.0.1]:{port} {other}\n", end: endTrust},
		{name: "one of two keys", known: "[127.0.0.1]:{port} {other}\n[127.0.0.1]:{port} {key}\n"},
		{name: "revoked", known: fidelityKnown + "@revoked * {key}\n", end: endTrust},
		{name: "another kind known", known: "[127.0.0.1]:{port} {hk2}\n"},
		{name: "authority", config: "Port {certport}\n", known: "@cert-authority [127.0.0.1]:{certport} {ca}\n"},
		{name: "authority for others", config: "Port {certport}\n", known: "@cert-authority *.example {ca}\n", end: endTrust},
		{name: "authority, another name", config: "Port {certport}\nHostKeyAlias lab.example\n", known: "@cert-authority *.example {ca}\n"},
		{name: "authority, a name not certified", config: "Port {certport}\nHostKeyAlias rogue.example\n", known: "@cert-authority *.example {ca}\n", end: endTrust},
		{name: "alias", config: "HostKeyAlias labs\n", known: "labs {key}\n"},
		{name: "alias unknown", config: "HostKeyAlias labs\n", end: endTrust},
		{name: "global file", config: "GlobalKnownHostsFile {dir}/global\n", known: "# none\n"},
		{name: "localhost is not looked at", config: "NoHostAuthenticationForLocalhost yes\n", known: "# none\n"},
		{name: "algorithms of host keys", config: "HostKeyAlgorithms ecdsa-sha2-nistp256\n", known: fidelityKnown, end: endTrust},
	}
}

// algorithmCases: what is spoken, and who speaks it where x/crypto does not.
func algorithmCases() []fidelityCase {
	return []fidelityCase{
		{name: "kex", config: "KexAlgorithms ecdh-sha2-nistp384\n"},
		{name: "kex that only ssh has", config: "KexAlgorithms sntrup761x25519-sha512@openssh.com\n", via: "KexAlgorithms"},
		{name: "cipher", config: "Ciphers aes256-gcm@openssh.com\n"},
		{name: "mac", config: "Ciphers aes128-ctr\nMACs hmac-sha2-512\n"},
		{name: "mac that only ssh has", config: "Ciphers aes128-ctr\nMACs umac-128-etm@openssh.com\n", via: "MACs"},
	}
}

// wayCases: how a host is reached.
func wayCases() []fidelityCase {
	return []fidelityCase{
		{name: "family", config: "AddressFamily inet6\n", end: endLost},
		{name: "from an address", config: "BindAddress 127.0.0.5\n"},
		{name: "from an interface", config: "BindInterface lo\n"},
		{name: "from no interface", config: "BindInterface nosuch0\n", end: endLost},
		{name: "nobody listens", config: "Port 1\n", end: endLost},
		{name: "environment", config: "SetEnv FT_X=\"a b\"\nSendEnv FT_S*\n"},
		{name: "jump", config: "ProxyJump gate\n"},
		{name: "two jumps", config: "ProxyJump gate,ftbash@gate2\n"},
		{name: "jump with a key of its own", config: "ProxyJump gatekey\n"},
		{name: "jump that nobody knows", config: "ProxyJump stranger\n", end: endTrust},
		{name: "jump that lets nobody in", config: "ProxyJump closed\n", end: endAuth},
		{name: "jump, by the system's ssh", config: "ProxyJump gate\n" + byTheSystem, via: "KexAlgorithms"},
		{name: "two jumps, by the system's ssh", config: "ProxyJump gate,ftbash@gate2\n" + byTheSystem, via: "KexAlgorithms"},
		{name: "jump that lets nobody in, by the system's ssh", config: "ProxyJump closed\n" + byTheSystem, end: endAuth},
		{name: "command", config: "ProxyCommand ssh -F {dir}/config -W %h:%p gate\n"},
		{name: "command that ends", config: "ProxyCommand false\n", end: endLost},
		{name: "known hosts command", config: "KnownHostsCommand /bin/cat {dir}/global\n", known: "# none\n", via: "KnownHostsCommand"},
		{name: "revoked keys", config: "RevokedHostKeys {dir}/revoked\n", end: endTrust},
		{name: "no keys revoked", config: "RevokedHostKeys {dir}/revokedno\n", via: "RevokedHostKeys"},
		{name: "dns", config: "VerifyHostKeyDNS yes\n", via: "VerifyHostKeyDNS"},
	}
}
