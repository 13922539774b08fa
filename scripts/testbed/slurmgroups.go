package testbed

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// freezer is the hierarchy of cgroup/v1 in which Slurm keeps the processes of a job together.
const freezer = "/sys/fs/cgroup/freezer"

// missingCgroups says why this machine's Slurm can have no cgroups.
func missingCgroups(o SlurmOptions) []string {
	if o.Cgroups && o.On == nil {
		return []string{"cgroups are for a Slurm on nodes"}
	}
	if _, err := os.Stat(freezer + "/cgroup.procs"); o.Cgroups && err != nil {
		return []string{freezer + " is not there: the kernel was booted without cgroup/v1"}
	}
	return nil
}

// ownGroup runs a node's daemon in a cgroup of its own, which to it and all that it starts is the root: the cgroups of several nodes stay apart. The paths that
// everybody reads in /proc begin with that group.
const ownGroup = `set -e
own=$1
shift
mkdir -p "$own"
echo 0 >"$own/cgroup.procs"
exec unshare --mount sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' sh "$own" ` + freezer + ` "$@"`

// inGroup is the command line of a node's daemon.
func (b *SlurmBed) inGroup(node string, argv []string) []string {
	if !b.options.Cgroups {
		return argv
	}
	return append([]string{"sh", "-c", ownGroup, "sh", filepath.Join(freezer, filepath.Base(b.options.On.Dir), node)}, argv...)
}

// cgroupConf is cgroup.conf.
func (b *SlurmBed) cgroupConf() string {
	if !b.options.Cgroups {
		return ""
	}
	return "CgroupPlugin=cgroup/v1"
}

// removeGroups removes the cgroups of a bed whose processes are gone.
func removeGroups(bed string) error {
	var dirs []string
	top := filepath.Join(freezer, bed)
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, dir := range slices.Backward(dirs) { // what is below comes first
		errs = append(errs, os.Remove(dir))
	}
	return errors.Join(errs...)
}
