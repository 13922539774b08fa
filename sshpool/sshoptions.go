package sshpool

import (
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// TrustPolicy is what is done with the key of a host that no file knows (StrictHostKeyChecking). A changed or revoked key is an alarm under each of them.
type TrustPolicy uint8

// The policies.
const (
	TrustAsk   TrustPolicy = iota // a question to the user
	TrustKnown                    // yes: it is refused; ssh itself would not even ask
	TrustNew                      // accept-new, no, off: it is taken and written down
)

func trustPolicy(word string) TrustPolicy {
	switch word {
	case "true", "yes":
		return TrustKnown
	case "accept-new", "false", "no", "off":
		return TrustNew
	}
	return TrustAsk
}

// ways are the ways to log in that we have and the configuration allows, in the order that it prefers.
func (a answer) ways() []string {
	ours := []string{"publickey", "keyboard-interactive", "password"}
	if list := a.first("preferredauthentications"); list != "" {
		all := ours
		ours = []string{}
		for way := range strings.SplitSeq(list, ",") {
			if slices.Contains(all, way) && !slices.Contains(ours, way) {
				ours = append(ours, way)
			}
		}
	}
	return slices.DeleteFunc(ours, func(way string) bool {
		switch way {
		case "publickey":
			return a.no("pubkeyauthentication")
		case "password":
			return a.no("passwordauthentication")
		}
		return a.no("kbdinteractiveauthentication") || a.no("challengeresponseauthentication") // before 8.7
	})
}

// algorithms takes over lists of algorithms that were configured. x/crypto passes over names that it does not know; a list of which it knows none is for ssh.
func (a answer) algorithms(r *Resolved, base answer) {
	good, weak := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
	for _, o := range []struct {
		key   string
		known []string
		to    *[]string
		name  string
	}{
		{"kexalgorithms", slices.Concat(good.KeyExchanges, weak.KeyExchanges), &r.KeyExchanges, "KexAlgorithms"},
		{"ciphers", slices.Concat(good.Ciphers, weak.Ciphers), &r.Ciphers, "Ciphers"},
		{"macs", slices.Concat(good.MACs, weak.MACs), &r.MACs, "MACs"},
		{"hostkeyalgorithms", slices.Concat(good.HostKeys, weak.HostKeys), &r.HostKeyAlgorithms, "HostKeyAlgorithms"},
		{"pubkeyacceptedalgorithms", slices.Concat(good.PublicKeyAuths, weak.PublicKeyAuths), &r.KeyAlgorithms, "PubkeyAcceptedAlgorithms"},
		{"pubkeyacceptedkeytypes", slices.Concat(good.PublicKeyAuths, weak.PublicKeyAuths), &r.KeyAlgorithms, "PubkeyAcceptedAlgorithms"}, // before 8.5
		{"casignaturealgorithms", slices.Concat(good.PublicKeyAuths, weak.PublicKeyAuths), &r.CASignatures, "CASignatureAlgorithms"},
	} {
		value := a.first(o.key)
		if value == "" || base != nil && value == base.first(o.key) {
			continue
		}
		var list []string
		for name := range strings.SplitSeq(value, ",") {
			if slices.Contains(o.known, name) {
				list = append(list, name)
			}
		}
		if list == nil {
			r.NeedsSSH = append(r.NeedsSSH, o.name)
			continue
		}
		*o.to = list
	}
}

// transports finds what only ssh itself can do.
func (a answer) transports(r *Resolved, base answer) {
	for _, o := range []struct {
		name string
		on   bool
	}{
		{"KnownHostsCommand", a.first("knownhostscommand") != ""},
		{"RevokedHostKeys", a.first("revokedhostkeys") != ""},
		{"VerifyHostKeyDNS", a.yes("verifyhostkeydns") || a.first("verifyhostkeydns") == "ask"},
		{"ProxyUseFdpass", a.yes("proxyusefdpass")},
	} {
		if o.on {
			r.NeedsSSH = append(r.NeedsSSH, o.name)
		}
	}
	ways := a.first("preferredauthentications")
	may := func(way string) bool { return ways == "" || slices.Contains(strings.Split(ways, ","), way) }
	if !may("publickey") {
		r.NoPublicKey = true
	}
	for _, o := range []struct {
		name, way string
		on        bool
	}{
		{"GSSAPIAuthentication", "gssapi-with-mic", a.yes("gssapiauthentication")},
		{"HostbasedAuthentication", "hostbased", a.yes("hostbasedauthentication")},
		{"PKCS11Provider", "publickey", a.first("pkcs11provider") != ""},
	} {
		if o.on && may(o.way) {
			r.MaySSH = append(r.MaySSH, o.name)
		}
	}
	if base == nil {
		return
	}
	for key, values := range a {
		if !slices.Equal(values, base[key]) && !strings.Contains(knownOptions, " "+key+" ") {
			r.NeedsSSH = append(r.NeedsSSH, clean(key))
		}
	}
	slices.Sort(r.NeedsSSH)
}

// knownOptions are what this package honours, or what says nothing of how a host is reached: forwardings, what ssh shows, what it runs here. What is in none of the two, and
// not as it is without a configuration, is for ssh itself.
const knownOptions = " host hostname user port hostkeyalias userknownhostsfile globalknownhostsfile stricthostkeychecking hashknownhosts hostkeyalgorithms casignaturealgorithms " +
	"nohostauthenticationforlocalhost identityfile certificatefile identitiesonly identityagent pubkeyauthentication pubkeyacceptedalgorithms pubkeyacceptedkeytypes requiredrsasize " +
	"preferredauthentications passwordauthentication kbdinteractiveauthentication challengeresponseauthentication numberofpasswordprompts batchmode proxyjump proxycommand " +
	"proxyusefdpass bindaddress bindinterface addressfamily connecttimeout connectionattempts serveraliveinterval serveralivecountmax kexalgorithms ciphers macs sendenv setenv " +
	"controlpath knownhostscommand revokedhostkeys verifyhostkeydns gssapiauthentication hostbasedauthentication pkcs11provider canonicalizehostname canonicaldomains " +
	"canonicalizefallbacklocal canonicalizemaxdots canonicalizepermittedcnames " +
	// of no matter for how a host is reached
	"controlmaster controlpersist addkeystoagent checkhostip clearallforwardings compression compressionlevel dynamicforward enableescapecommandline enablesshkeysign escapechar " +
	"exitonforwardfailure fingerprinthash forkafterauthentication forwardagent forwardx11 forwardx11timeout forwardx11trusted gatewayports gssapidelegatecredentials " +
	"gssapikeyexchange gssapikexalgorithms gssapirenewalforcesrekey gssapitrustdns gssapiclientidentity gssapiserveridentity hostbasedacceptedalgorithms hostbasedkeytypes " +
	"ignoreunknown ipqos kbdinteractivedevices localcommand localforward loglevel logverbose obscurekeystroketiming channeltimeout permitlocalcommand permitremoteopen rekeylimit " +
	"remotecommand remoteforward requesttty securitykeyprovider sessiontype stdinnull streamlocalbindmask streamlocalbindunlink syslogfacility tag tcpkeepalive tunnel tunneldevice " +
	"updatehostkeys visualhostkey warnweakcrypto xauthlocation useprivilegedport rhostsrsaauthentication rsaauthentication protocol "

// environ is what SendEnv and SetEnv ask to send, the latter's values last. Names are patterns of * and ?.
func environ(env environment, send, set []string) []string {
	var out []string
	if env.Environ != nil && len(send) > 0 {
		for _, pair := range env.Environ() {
			name, _, _ := strings.Cut(pair, "=")
			if slices.ContainsFunc(send, func(pattern string) bool { return wild(pattern, name) }) {
				out = append(out, pair)
			}
		}
	}
	return append(out, set...)
}
