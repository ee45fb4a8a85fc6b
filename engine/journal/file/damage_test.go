package file_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// smallLog returns a disk with five batches in two segments, the records in them,
// and the numbers of records at which a batch ends.
func smallLog(t *testing.T) (disk *faultfs.FS, records []journal.Record, ends map[int]bool) {
	t.Helper()
	disk = faultfs.New()
	l := newLog(t, disk)
	ends = map[int]bool{0: true}
	for _, n := range []int{2, 3, 9, 3, 2} { // 2 + 3 + 9 records fill the first segment
		first := l.Next()
		batch := make([][]byte, n)
		for i := range batch {
			batch[i] = bytes.Repeat([]byte{byte(first) + byte(i)}, 180+10*n)
		}
		if err := l.Append(first, int64(first), batch); err != nil {
			t.Fatal(err)
		}
		ends[int(l.Next())-1] = true
	}
	records, err := contents(l, 1)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(disk.Names()); n != 2 {
		t.Fatalf("%d segments", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return disk, records, ends
}

// reopen opens a damaged log and returns how many records it holds, -1 if it
// refuses as damaged. Anything but a prefix of whole batches is an error.
//
// A reader sees what Open will find, or refuses, too.
func reopen(disk *faultfs.FS, records []journal.Record, ends map[int]bool) (int, error) {
	seen, err := looked(disk)
	if err != nil {
		return 0, err
	}
	n, err := reopened(disk, records, ends)
	if err == nil && n != seen {
		return 0, fmt.Errorf("the reader has seen %d records, the log has %d", seen, n)
	}
	return n, err
}

// looked returns how many records a reader finds, -1 if it refuses.
func looked(disk *faultfs.FS) (int, error) {
	r, err := file.OpenReader(file.ReaderConfig{Dir: dir, FS: disk})
	var got []journal.Record
	if err == nil {
		got, err = contents(r, 1)
	}
	var corrupt *journal.CorruptError
	if errors.As(err, &corrupt) {
		return -1, nil
	}
	return len(got), err
}

func reopened(disk *faultfs.FS, records []journal.Record, ends map[int]bool) (int, error) {
	l, err := openSmall(disk)
	var corrupt *journal.CorruptError
	if errors.As(err, &corrupt) {
		if corrupt.Place == "" || corrupt.Reason == "" {
			return 0, fmt.Errorf("says too little: %w", err)
		}
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	got, err := contents(l, 1)
	if err != nil {
		return 0, err
	}
	if len(got) > len(records) || !ends[len(got)] {
		return 0, fmt.Errorf("%d records are not whole batches", len(got))
	}
	for i, r := range got {
		if r.Seq != records[i].Seq || r.At != records[i].At || !bytes.Equal(r.Payload, records[i].Payload) {
			return 0, fmt.Errorf("record %d differs", i+1)
		}
	}
	return len(got), l.Close()
}

// TestEveryBitFlip flips each bit of a small log. A flip in the last batch may cut
// that batch, as a crash would; a flip in anything before it must refuse to open;
// a flip in unused space must change nothing.
func TestEveryBitFlip(t *testing.T) {
	disk, records, ends := smallLog(t)
	lastBatch := len(records) - 2
	counts := map[int]int{}
	for _, name := range disk.Names() {
		clean := disk.Bytes(name)
		used := len(bytes.TrimRight(clean, "\x00")) + 8
		for i := range clean {
			for bit := range 8 {
				if bit != i%8 && (testing.Short() || i > used || i >= 40 && i < 4096) {
					continue // one bit of each byte will do in unused space, and where races are looked for
				}
				clone := disk.Clone()
				bad := bytes.Clone(clean)
				bad[i] ^= 1 << bit
				clone.SetBytes(name, bad)
				n, err := reopen(clone, records, ends)
				if err != nil {
					t.Fatalf("%s byte %d bit %d: %v", name, i, bit, err)
				}
				if n >= 0 && n < lastBatch {
					t.Fatalf("%s byte %d bit %d: silently cut to %d of %d records", name, i, bit, n, len(records))
				}
				counts[n]++
			}
		}
	}
	if counts[-1] == 0 || counts[lastBatch] == 0 || counts[len(records)] == 0 {
		t.Fatalf("counts %v", counts)
	}
	t.Logf("refused %d, cut the last batch %d, harmless %d", counts[-1], counts[lastBatch], counts[len(records)])
}

// TestEveryTruncation tears the log at every byte of its last segment: zeros from
// there on as a crash leaves them, and a shortened file, which no crash makes
// because segments have their full length before their first use.
func TestEveryTruncation(t *testing.T) {
	disk, records, ends := smallLog(t)
	name := disk.Names()[1]
	clean := disk.Bytes(name)
	last := -1
	for cut := 4096; cut <= len(clean); cut++ {
		clone := disk.Clone()
		clone.SetBytes(name, append(bytes.Clone(clean[:cut]), make([]byte, len(clean)-cut)...))
		n, err := reopen(clone, records, ends)
		if err != nil || n < last {
			t.Fatalf("zeros from byte %d on: %d records after %d, error %v", cut, n, last, err)
		}
		last = n
	}
	if last != len(records) {
		t.Fatalf("%d records in the whole log", last)
	}
	for cut := range clean {
		clone := disk.Clone()
		clone.SetBytes(name, clean[:cut])
		if n, err := reopen(clone, records, ends); n != -1 || err != nil {
			t.Fatalf("file of %d bytes: %d records, error %v", cut, n, err)
		}
	}
}

// TestMisplacedContent puts intact bytes where they do not belong.
func TestMisplacedContent(t *testing.T) {
	disk, records, ends := smallLog(t)
	names := disk.Names()
	first, second := disk.Bytes(names[0]), disk.Bytes(names[1])
	splice := func(a []byte, at int, b []byte) []byte {
		out := bytes.Clone(a)
		copy(out[at:], b)
		return out
	}
	for what, change := range map[string]func(*faultfs.FS){
		"first segment under the second's name": func(fs *faultfs.FS) { fs.SetBytes(names[1], first) },
		"frames of the first in the second":     func(fs *faultfs.FS) { fs.SetBytes(names[1], splice(second, 4096, first[4096:])) },
		"a batch doubled after the end":         func(fs *faultfs.FS) { fs.SetBytes(names[1], splice(second, 7000&^7, second[4096:5000])) },
		"a batch doubled at the end": func(fs *faultfs.FS) {
			end := (len(bytes.TrimRight(second, "\x00")) + 7) &^ 7
			fs.SetBytes(names[1], splice(second, end, second[4096:end]))
		},
		"first batch lost": func(fs *faultfs.FS) {
			fs.SetBytes(names[0], splice(first, 4096, make([]byte, 512)))
		},
		"first segment missing": func(fs *faultfs.FS) {
			if err := fs.Remove(names[0]); err != nil {
				t.Fatal(err)
			}
		},
	} {
		clone := disk.Clone()
		change(clone)
		n, err := reopen(clone, records, ends)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if what == "frames of the first in the second" {
			if n != 14 {
				t.Errorf("%s: %d records, want the 14 of the first segment", what, n)
			}
			continue
		}
		if n != -1 {
			t.Errorf("%s: opened with %d records", what, n)
		}
	}
}

// TestReadReportsDamage flips a bit under an open log.
func TestReadReportsDamage(t *testing.T) {
	disk := faultfs.New()
	l := newLog(t, disk)
	for range 3 {
		if err := appendBatch(l, 2); err != nil {
			t.Fatal(err)
		}
	}
	name := disk.Names()[0]
	b := disk.Bytes(name)
	b[4096+40] ^= 1
	disk.SetBytes(name, b)
	_, err := contents(l, 1)
	var corrupt *journal.CorruptError
	if !errors.As(err, &corrupt) || corrupt.Seq != 1 || corrupt.Offset != 4096 {
		t.Fatalf("got %v", err)
	}
}

// TestRepairLeavesZeros tears a batch and looks at the disk after Open: nothing
// of the torn batch is left.
func TestRepairLeavesZeros(t *testing.T) {
	disk, records, ends := smallLog(t)
	name := disk.Names()[1]
	b := disk.Bytes(name)
	end := (len(bytes.TrimRight(b, "\x00")) + 7) &^ 7
	for i := end + 16; i < len(b)-700; i++ {
		b[i] = 0xa5
	}
	disk.SetBytes(name, b)
	if n, err := reopen(disk, records, ends); n != len(records) || err != nil {
		t.Fatalf("%d records, error %v", n, err)
	}
	if rest := disk.Bytes(name)[end:]; len(bytes.Trim(rest, "\x00")) != 0 {
		t.Fatal("traces of the torn batch are left")
	}
}
