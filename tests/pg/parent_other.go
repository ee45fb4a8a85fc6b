//go:build !linux

package pg

import "syscall"

// dieWithParent cannot be had here: after a test process that was killed, the
// server is left to whoever looks after the machine.
func dieWithParent(owner *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: owner}
}
