package file_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/journal/journaltest"
)

// TestReaderBesideTheWriter: it sees what the log has, while another holds the
// log, and leaves every byte as it is.
func TestReaderBesideTheWriter(t *testing.T) {
	dir := t.TempDir()
	l, err := file.Open(file.Config{Dir: dir, SegmentSize: 32 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, batches := range []int{0, 1, 5, 20} { // the last fill several segments
		for range batches {
			if err := l.Append(l.Next(), 5, journaltest.Batch(l.Next(), 10, 9)); err != nil {
				t.Fatal(err)
			}
		}
		before := folderBytes(t, dir)
		r, err := file.OpenReader(file.ReaderConfig{Dir: dir, Holds: l.Next() - 1})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Held() {
			t.Error("the reader does not see that the log is held")
		}
		if r.First() != l.First() || r.Next() != l.Next() {
			t.Errorf("the reader sees %d to %d, the log %d to %d", r.First(), r.Next(), l.First(), l.Next())
		}
		for from := uint64(0); from <= l.Next(); from++ {
			want := max(from, 1)
			err := r.Read(from, func(rec journal.Record) error {
				if rec.Seq != want || rec.At != 5 || !bytes.Equal(rec.Payload, journaltest.Payload(want, 9)) {
					t.Errorf("from %d: record %d came where %d belongs", from, rec.Seq, want)
				}
				want++
				return nil
			})
			if err != nil || want != l.Next() {
				t.Errorf("from %d: %v, ended at %d of %d", from, err, want, l.Next())
			}
		}
		if !maps.Equal(before, folderBytes(t, dir)) {
			t.Error("reading changed the folder")
		}
	}
	if n := len(folderBytes(t, dir)); n < 4 {
		t.Errorf("%d files: the test does not cross segments", n)
	}
	if err := os.Remove(filepath.Join(dir, "seg-0000000000000002.log")); err != nil {
		t.Fatal(err)
	}
	var corrupt *journal.CorruptError
	if _, err := file.OpenReader(file.ReaderConfig{Dir: dir}); !errors.As(err, &corrupt) {
		t.Errorf("without a segment in the middle: %v", err)
	}
}

func folderBytes(t *testing.T, dir string) map[string]string {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(dir, n.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[n.Name()] = string(b)
	}
	return out
}

// TestReadOnlyRefusesChanges.
func TestReadOnlyRefusesChanges(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "x")
	if err := os.WriteFile(name, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	var fs file.ReadOnly
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, created := fs.Create(name)
	_, locked := fs.Lock(name)
	_, written := f.WriteAt([]byte("x"), 0)
	for what, err := range map[string]error{
		"create": created, "lock": locked, "write": written,
		"make": fs.MkdirAll(dir + "/y"), "rename": fs.Rename(name, name+"y"), "remove": fs.Remove(name),
	} {
		if err == nil {
			t.Errorf("%s: done", what)
		}
	}
	if b, err := os.ReadFile(name); err != nil || string(b) != "abc" {
		t.Errorf("%q, %v", b, err)
	}
}

// TestHolds: a log that ends before what is known to be durable is refused, and
// stays as it is; one that does not opens.
func TestHolds(t *testing.T) {
	disk, records, _ := smallLog(t)
	name := disk.Names()[1]
	clean := disk.Bytes(name)
	refused := 0
	for cut := 4096; cut <= len(clean); cut++ {
		torn := append(bytes.Clone(clean[:cut]), make([]byte, len(clean)-cut)...)
		blind := disk.Clone()
		blind.SetBytes(name, torn)
		l, err := openSmall(blind)
		if err != nil {
			t.Fatal(err)
		}
		have := l.Next() - 1
		for _, holds := range []uint64{have, have + 1, uint64(len(records))} {
			fs := disk.Clone()
			fs.SetBytes(name, torn)
			l, err := file.Open(file.Config{Dir: dir, FS: fs, SegmentSize: 8 << 10, Holds: holds})
			if holds <= have {
				if err != nil || l.Next()-1 != have {
					t.Fatalf("zeros from byte %d on, %d known: %v", cut, holds, err)
				}
				continue
			}
			refused++
			var corrupt *journal.CorruptError
			if !errors.As(err, &corrupt) || corrupt.Seq != have+1 || !slices.Contains(disk.Names(), corrupt.Place) {
				t.Fatalf("zeros from byte %d on, %d known: %v", cut, holds, err)
			}
			if !bytes.Equal(fs.Bytes(name), torn) {
				t.Fatalf("zeros from byte %d on: the refused log was changed", cut)
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	var corrupt *journal.CorruptError
	if _, err := file.Open(file.Config{Dir: t.TempDir(), Holds: 1}); !errors.As(err, &corrupt) || corrupt.Seq != 1 {
		t.Errorf("a log without a record: %v", err)
	}
}
