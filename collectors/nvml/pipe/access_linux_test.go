package pipe

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// An ordinary user may not open the device of a GPU that its file's mode keeps from him.
func TestWhyUnseenByAnOrdinaryUser(t *testing.T) {
	root := tree(t, map[string]string{"sys/bus/pci/devices/0000:19:00.0/driver→": "../nvidia", "dev/nvidia3": "",
		"proc/driver/nvidia/gpus/0000:19:00.0/information": "Device Minor: 3\n"})
	if err := os.Chmod(filepath.Join(root, "dev/nvidia3"), 0); err != nil {
		t.Fatal(err)
	}
	for dir := root; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	why := make(chan string)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		if os.Getuid() == 0 {
			const nobody = 65534
			if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
				why <- "setresuid: " + errno.Error()
				return
			}
		}
		why <- WhyUnseen(root, "0000:19:00.0")
	}()
	if got := <-why; got != "not visible to this user: no permission for /dev/nvidia3" {
		t.Errorf("%q", got)
	}
}
