package stage

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// ownGroup puts a child into a process group of its own and lets the kernel
// kill it if the gate itself is killed. (The signal is tied to the thread that
// started the child; Go ends a thread only with a goroutine locked to it, and
// there is none here.)
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// strays kills processes that carry the cookie of a run but left their group,
// such as a browser in a session of its own, and returns how many there were.
func strays(cookie string) int {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	n := 0
	for _, path := range environs {
		env, err := os.ReadFile(path)
		if err != nil || !hasVariable(env, cookie) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err == nil && pid != os.Getpid() && syscall.Kill(pid, syscall.SIGKILL) == nil {
			n++
		}
	}
	return n
}

func hasVariable(environ []byte, cookie string) bool {
	for v := range bytes.SplitSeq(environ, []byte{0}) {
		if string(v) == cookie {
			return true
		}
	}
	return false
}
