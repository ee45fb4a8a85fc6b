package pg

import "syscall"

// dieWithParent has the server shut down when the test process is gone, however
// that ended.
func dieWithParent(owner *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: owner, Pdeathsig: syscall.SIGQUIT}
}
