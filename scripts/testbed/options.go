package testbed

import "maps"

// Home stands for the login user's home folder in options that take a path.
const Home = "~"

// Option changes how nodes are built; without On it applies to all nodes of the bed.
type Option func(node string, s *settings)

// settings is what the options have made of one node.
type settings struct {
	user       string
	shell      string
	env        map[string]string // of every session, through sshd's SetEnv
	sshd       []string          // further lines of sshd_config
	homeFiles  map[string]string // content by path below the home folder
	sharedHome string            // name of the group of nodes that share it
	freezable  bool              // the home is served by a FUSE daemon that can be stopped
	mounts     []tmpfs
	binds      []bind
	sysfs      string // fixture tree laid over /sys
	profile    string // the played driver's profile, copied for each node
	hostKey    hostKeyKind
	refuseKey  bool
}

type tmpfs struct {
	path, options string
	fill          bool
}

type bind struct{ src, dst string }

// hostKeyKind is what the bed's known_hosts says about a node.
type hostKeyKind uint8

const (
	keyKnown hostKeyKind = iota
	keyUnknown
	keyChanged
)

func settingsFor(node string, opts []Option) settings {
	s := settings{user: "ann", shell: "/bin/bash", env: map[string]string{}, homeFiles: map[string]string{}}
	for _, o := range opts {
		o(node, &s)
	}
	return s
}

// On applies options to the one node of that name.
func On(name string, opts ...Option) Option {
	return func(node string, s *settings) {
		if node != name {
			return
		}
		for _, o := range opts {
			o(node, s)
		}
	}
}

// User is who logs in: "ann" (an ordinary user, the default), "bob" (another one) or "root".
func User(name string) Option {
	return func(_ string, s *settings) { s.user = name }
}

// Shell is the login shell, as an absolute path; /bin/bash without it.
func Shell(path string) Option {
	return func(_ string, s *settings) { s.shell = path }
}

// Env adds to the environment of every session, as a site's own configuration would.
func Env(env map[string]string) Option {
	return func(_ string, s *settings) { maps.Copy(s.env, env) }
}

// SSHD adds lines to the server's configuration, before the bed's own: the first one of a keyword wins.
func SSHD(lines ...string) Option {
	return func(_ string, s *settings) { s.sshd = append(s.sshd, lines...) }
}

// HomeFile puts a file into the login user's home folder.
func HomeFile(path, content string) Option {
	return func(_ string, s *settings) { s.homeFiles[path] = content }
}

// Noise makes the start-up files of bash, tcsh and fish print so many bytes at every login, lines of 64.
func Noise(bytes int) Option {
	return func(_ string, s *settings) {
		const line = "*** this cluster is for authorised use only; read the manual ***"
		awk := noiseCommand(line, bytes)
		s.homeFiles[".bashrc"] = awk
		s.homeFiles[".cshrc"] = awk
		s.homeFiles[".config/fish/config.fish"] = awk
	}
}

// SharedHome gives the nodes of one group one home folder, as a cluster's file server does.
func SharedHome(group string) Option {
	return func(_ string, s *settings) { s.sharedHome = group }
}

// FreezableHome serves the home folder through a FUSE daemon (bindfs) that Node.FreezeHome can stop, which is what a
// hung file server looks like: every call on it waits.
func FreezableHome() Option {
	return func(_ string, s *settings) { s.freezable = true }
}

// Mount puts an empty tmpfs with these mount options ("noexec", "ro", "size=1m") at a path (Home, /tmp, /var/tmp, …).
func Mount(path, options string) Option {
	return func(_ string, s *settings) { s.mounts = append(s.mounts, tmpfs{path: path, options: options}) }
}

// Full puts file systems without one free byte at these paths.
func Full(paths ...string) Option {
	return func(_ string, s *settings) {
		for _, p := range paths {
			s.mounts = append(s.mounts, tmpfs{path: p, options: "size=64k", fill: true})
		}
	}
}

// Bind shows a file or folder of this machine on the node. A file that is written in place changes on the node too.
func Bind(src, dst string) Option {
	return func(_ string, s *settings) { s.binds = append(s.binds, bind{src, dst}) }
}

// Sysfs lays a fixture tree over /sys: the tree's class/X and devices/X replace or add /sys/class/X and /sys/devices/X.
func Sysfs(tree string) Option {
	return func(_ string, s *settings) { s.sysfs = tree }
}

// NVIDIA puts a played driver library on the node and leads sessions to it by LD_LIBRARY_PATH. The profile's content
// goes to a file of the node's own, named to sessions by the variable profileVar (FORETOP_PLAY_NVML for the driver of
// testdata/nvml); Node.SetProfile changes it later.
func NVIDIA(library, profileVar, profile string) Option {
	return func(_ string, s *settings) {
		s.binds = append(s.binds, bind{library, playedDir + "/libnvidia-ml.so.1"})
		s.env["LD_LIBRARY_PATH"] = playedDir
		s.env[profileVar] = playedProfile
		s.profile = profile
	}
}

const (
	playedDir     = "/run/played"
	playedProfile = playedDir + "/nvidia.profile"
)

// UnknownHostKey leaves the node out of the bed's known_hosts.
func UnknownHostKey() Option {
	return func(_ string, s *settings) { s.hostKey = keyUnknown }
}

// ChangedHostKey has the bed's known_hosts name another key than the node's.
func ChangedHostKey() Option {
	return func(_ string, s *settings) { s.hostKey = keyChanged }
}

// RefuseKey makes the node accept nobody's key.
func RefuseKey() Option {
	return func(_ string, s *settings) { s.refuseKey = true }
}
