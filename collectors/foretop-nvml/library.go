//go:build linux && cgo

package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/dl"
	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"foretop/collectors/nvml/pipe"
)

const library = "libnvidia-ml.so.1"

// Where the driver's library lies when the dynamic linker does not know of it: WSL, GKE's and other device plugins, NixOS.
var otherFolders = []string{"/usr/lib/wsl/lib", "/usr/local/nvidia/lib64", "/home/kubernetes/bin/nvidia/lib64", "/run/opengl-driver/lib"}

// openLibrary loads and initialises the driver's library. A Status whose Health is not OK says why not.
func openLibrary(root string, w *watch) (nvml.Interface, pipe.Status) {
	onPCI := len(pipe.PCIGPUs(root))
	path, err := findLibrary()
	if path == "" {
		if err != nil {
			return nil, pipe.Status{Health: pipe.Failing, GPU: -1, Text: "load " + library + ": " + err.Error()}
		}
		if onPCI > 0 {
			return nil, pipe.Status{Health: pipe.Failing, GPU: -1, Text: fmt.Sprintf("%d NVIDIA GPUs on the PCI bus, but no driver library %s", onPCI, library),
				Remedy: "install the NVIDIA driver's user-space libraries on the node"}
		}
		return nil, pipe.Status{Health: pipe.Unsupported, GPU: -1, Text: "no NVIDIA driver library"}
	}
	lib := nvml.New(nvml.WithLibraryPath(path))
	w.enter(callInit, -1)
	ret := lib.Init()
	w.leave()
	return lib, initStatus(lib, ret, onPCI)
}

func initStatus(lib nvml.Interface, ret nvml.Return, onPCI int) pipe.Status {
	s := pipe.Status{Health: pipe.Failing, GPU: -1, Text: "nvmlInit: " + lib.ErrorString(ret)}
	switch ret {
	case nvml.SUCCESS:
		s.Health, s.Text = pipe.OK, ""
	case nvml.ERROR_DRIVER_NOT_LOADED:
		s.Text, s.Remedy = "the NVIDIA kernel driver is not loaded", "modprobe nvidia on the node; the kernel log says why it does not load"
		if onPCI == 0 {
			s.Health, s.Remedy = pipe.Unsupported, ""
		}
	case nvml.ERROR_LIB_RM_VERSION_MISMATCH:
		s.Text, s.Remedy = "driver and library have different versions", "reload the nvidia kernel modules or reboot the node: the driver was updated under it"
	case nvml.ERROR_NO_PERMISSION, nvml.ERROR_OPERATING_SYSTEM:
		s.Health, s.Remedy = pipe.Denied, "this user needs read and write access to /dev/nvidiactl and /dev/nvidia*"
	}
	return s
}

// findLibrary returns the first library that loads. It is left loaded, so that a later nvmlShutdown does not unload it. The error is
// the linker's, when a library is there but does not load; both are empty when there is none.
func findLibrary() (string, error) {
	var wrong error
	for i := -1; i < len(otherFolders); i++ {
		path := library
		if i >= 0 {
			path = filepath.Join(otherFolders[i], library)
		}
		err := dl.New(path, dl.RTLD_LAZY|dl.RTLD_GLOBAL).Open()
		if err == nil {
			return path, nil
		}
		if wrong == nil && !strings.HasPrefix(err.Error(), path+": cannot open shared object file: No such file") {
			wrong = err
		}
	}
	return "", wrong
}
