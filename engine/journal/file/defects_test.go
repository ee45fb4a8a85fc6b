package file_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// The defects below are what the crash test must find.

// filter passes everything to the disk but for the calls it overrides, which
// concern only segments under their final names: making a segment stays honest.
type filter struct {
	file.FS
	sync    func(name string, f file.File) error
	syncDir func(dir string) error
	write   func(f file.File, b []byte, off int64) (int, error)
}

func (fs filter) Open(name string) (file.File, error) {
	f, err := fs.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return filtered{f, name, fs}, nil
}

func (fs filter) SyncDir(dir string) error {
	if fs.syncDir == nil {
		return fs.FS.SyncDir(dir)
	}
	return fs.syncDir(dir)
}

type filtered struct {
	file.File
	name string
	fs   filter
}

func (f filtered) Sync() error {
	if f.fs.sync == nil {
		return f.File.Sync()
	}
	return f.fs.sync(f.name, f.File)
}

func (f filtered) WriteAt(b []byte, off int64) (int, error) {
	if f.fs.write == nil {
		return f.File.WriteAt(b, off)
	}
	return f.fs.write(f.File, b, off)
}

// withoutSync is a log whose fdatasync of batches was removed.
func withoutSync(fs file.FS) file.FS {
	return filter{FS: fs, sync: func(string, file.File) error { return nil }}
}

// firstUnsynced is a log that does not sync the first batch of a segment.
func firstUnsynced(fs file.FS) file.FS {
	seen := map[string]bool{}
	return filter{FS: fs, sync: func(name string, f file.File) error {
		if !seen[name] {
			seen[name] = true
			return nil
		}
		return f.Sync()
	}}
}

// lastUnsynced is a log that does not sync the batches at the end of a segment,
// after which no further one or only a small one fits.
func lastUnsynced(fs file.FS) file.FS {
	last := false
	return filter{FS: fs,
		write: func(f file.File, b []byte, off int64) (int, error) {
			last = off+int64(len(b)) > 8192-1024
			return f.WriteAt(b, off)
		},
		sync: func(_ string, f file.File) error {
			if last {
				return nil
			}
			return f.Sync()
		},
	}
}

// ackBeforeSync is a log that answers first and syncs when the next batch comes.
func ackBeforeSync(fs file.FS) file.FS {
	var owed file.File
	return filter{FS: fs,
		sync: func(_ string, f file.File) error { owed = f; return nil },
		write: func(f file.File, b []byte, off int64) (int, error) {
			if owed != nil {
				_ = owed.Sync() // fails if a restart came between
				owed = nil
			}
			return f.WriteAt(b, off)
		},
	}
}

// withoutSyncDir is a log that syncs its folder for the first segment only.
func withoutSyncDir(fs file.FS) file.FS {
	first := true
	return filter{FS: fs, syncDir: func(dir string) error {
		if first {
			first = false
			return fs.SyncDir(dir)
		}
		return nil
	}}
}

// unsyncedZeros is a log that gives a segment its name before its header and
// zeros are on the disk.
type unsyncedZeros struct{ file.FS }

func (fs unsyncedZeros) Create(name string) (file.File, error) {
	f, err := fs.FS.Create(name)
	if err != nil {
		return nil, err
	}
	lie := filter{FS: fs.FS, sync: func(string, file.File) error { return nil }}
	return filtered{f, name, lie}, nil
}

// splitWrite is a log that syncs a batch in two halves, so that the first half
// may be durable alone; the format must still see that it is not whole.
func splitWrite(fs file.FS) file.FS {
	return filter{FS: fs, write: func(f file.File, b []byte, off int64) (int, error) {
		n, err := f.WriteAt(b[:len(b)/2], off)
		if err != nil {
			return n, err
		}
		if err := f.Sync(); err != nil {
			return n, err
		}
		m, err := f.WriteAt(b[len(b)/2:], off+int64(len(b)/2))
		return n + m, err
	}}
}

// lyingCreate is a log that does not sync what it writes to new files with some
// names.
type lyingCreate struct {
	file.FS
	names string
}

func (fs lyingCreate) Create(name string) (file.File, error) {
	f, err := fs.FS.Create(name)
	if err != nil || !strings.HasPrefix(name, fs.names) {
		return f, err
	}
	return filtered{f, name, filter{FS: fs.FS, sync: func(string, file.File) error { return nil }}}, nil
}

// unsyncedFolder is a log that does not sync one of its folders.
func unsyncedFolder(fs file.FS, folder string) file.FS {
	return filter{FS: fs, syncDir: func(dir string) error {
		if dir == folder {
			return nil
		}
		return fs.SyncDir(dir)
	}}
}

// twoNames is a log that overwrites a spent segment before its old name is gone
// from the disk.
type twoNames struct {
	file.FS
	skip *bool
}

func (fs twoNames) Rename(from, to string) error {
	*fs.skip = strings.HasSuffix(to, ".log.new")
	return fs.FS.Rename(from, to)
}

func (fs twoNames) SyncDir(dir string) error {
	if *fs.skip {
		*fs.skip = false
		return nil
	}
	return fs.FS.SyncDir(dir)
}

func TestCrashTestHasTeeth(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine at a time: nothing for the race detector, and make test runs it")
	}
	plain := func(defect wrap) scene { return scene{defect: defect} }
	releases := func(defect wrap) scene { return scene{defect: defect, release: true, archive: "archive"} }
	twice := releases(func(fs file.FS) file.FS { return twoNames{fs, new(bool)} })
	twice.keeps = []faultfs.Keep{faultfs.KeepRandom} // of two renames, the later one alone
	for name, s := range map[string]scene{
		"sync removed":               plain(withoutSync),
		"first batch not synced":     plain(firstUnsynced),
		"last batch not synced":      plain(lastUnsynced),
		"acknowledged before sync":   plain(ackBeforeSync),
		"folder sync removed":        plain(withoutSyncDir),
		"segment used before synced": plain(func(fs file.FS) file.FS { return unsyncedZeros{fs} }),
		"archive not synced":         releases(func(fs file.FS) file.FS { return lyingCreate{fs, "archive"} }),
		"archive folder not synced":  releases(func(fs file.FS) file.FS { return unsyncedFolder(fs, "archive") }),
		"origin not synced":          releases(func(fs file.FS) file.FS { return lyingCreate{fs, "log/FIRST"} }),
		"spent under its old name":   twice,
		"folder never synced":        {defect: func(fs file.FS) file.FS { return unsyncedFolder(fs, dir) }, release: true},
	} {
		runs, broken := s.everyCrash(500)
		lost := 0
		for _, err := range broken {
			var corrupt *journal.CorruptError
			if errors.Is(err, errLost) || errors.Is(err, journal.ErrArchived) || errors.As(err, &corrupt) {
				lost++
			}
		}
		if lost == 0 {
			t.Errorf("%s: %d crashes, %d broken promises, %d losses: the crash test is blind to it", name, runs, len(broken), lost)
			continue
		}
		t.Logf("%s: found in %d crashes: %d broken promises, %d of them lost or damaged acknowledged records; first: %v", name, runs, len(broken), lost, broken[0])
	}
	if runs, broken := plain(splitWrite).everyCrash(1); len(broken) > 0 {
		t.Errorf("a batch torn in the middle: %v (of %d in %d crashes)", broken[0], len(broken), runs)
	}
}
