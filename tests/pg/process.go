package pg

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// nobody is who runs the server if root runs the test.
func nobody() (*syscall.Credential, error) {
	u, err := user.Lookup("nobody")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("uid of nobody: %w", err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("gid of nobody: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// within returns the programs' folder if everybody may enter it, else that of a
// copy in the folder for temporary files, which is made once per installation:
// root's cache is closed to nobody. A wheel keeps its shared libraries in a folder
// beside its package, so that one comes along. Files are linked where that is
// possible.
func within(bin string) (string, error) {
	bin, err := filepath.EvalSymlinks(bin)
	if err != nil {
		return "", err
	}
	if open(bin) {
		return bin, nil
	}
	install := filepath.Dir(bin)
	pack := filepath.Dir(install)
	inside := filepath.Join(filepath.Base(pack), filepath.Base(install))
	info, err := os.Stat(filepath.Join(bin, "postgres"))
	if err != nil {
		return "", err
	}
	copied := filepath.Join(os.TempDir(), fmt.Sprintf("mbp-postgres-%d-%d", info.Size(), info.ModTime().UnixNano()))
	if s, err := os.Stat(copied); err == nil && s.Sys().(*syscall.Stat_t).Uid == 0 {
		return filepath.Join(copied, inside, "bin"), nil
	}
	half, err := os.MkdirTemp("", "mbp-postgres-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(half) }()
	for from, to := range map[string]string{install: inside, pack + ".libs": filepath.Base(pack) + ".libs"} {
		if _, err := os.Stat(from); err != nil {
			continue
		}
		if err := copyTree(from, filepath.Join(half, to)); err != nil {
			return "", err
		}
	}
	for _, dir := range []string{half, filepath.Join(half, filepath.Base(pack))} {
		if err := os.Chmod(dir, 0o755); err != nil {
			return "", err
		}
	}
	if err := os.Rename(half, copied); err != nil && !open(filepath.Join(copied, inside, "bin")) { // else another process was faster
		return "", err
	}
	return filepath.Join(copied, inside, "bin"), nil
}

// open reports whether everybody may enter a folder.
func open(dir string) bool {
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil || info.Mode()&0o001 == 0 {
			return false
		}
		if filepath.Dir(dir) == dir {
			return true
		}
	}
}

func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			if err := os.MkdirAll(target, 0o755); err != nil {
				return err
			}
			return os.Chmod(target, 0o755)
		case d.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target) //nolint:gosec // an installation of the user's own
		}
		if os.Link(path, target) == nil { //nolint:gosec // as above
			return nil
		}
		return copyFile(path, target)
	})
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// children are the processes that a server has forked. PostgreSQL gives each a
// session of its own, so no group holds them; a machine without /proc shows none,
// and they end by themselves when they miss their parent.
func children(parent int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var out []int
	for _, path := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if _, of := stat(pid); err == nil && of == parent {
			out = append(out, pid)
		}
	}
	return out
}

// alive reports whether a process runs; one that only waits to be buried does not.
func alive(pid int) bool {
	state, _ := stat(pid)
	return state != "" && state != "Z"
}

// stat returns the state of a process and its parent; empty if it is gone.
func stat(pid int) (state string, parent int) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}
