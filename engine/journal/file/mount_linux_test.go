package file_test

import "syscall"

func mountTmpfs(dir, options string) error { return syscall.Mount("none", dir, "tmpfs", 0, options) }

func remountReadOnly(dir string) error {
	return syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
}

func unmount(dir string) error { return syscall.Unmount(dir, 0) }
