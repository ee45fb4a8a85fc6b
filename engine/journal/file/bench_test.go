package file_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// benchRecord is about the size of a real decision.
const benchRecord = 200

// BenchmarkGroupCommit compares the log with the least that the disk asks for: a
// bare loop of pwrite and fdatasync over a file that was zero-written before, fed
// with the same batches. ns/op is per durable record. Run with -cpu 2 -count 5
// and compare medians of one run.
func BenchmarkGroupCommit(b *testing.B) {
	for _, submitters := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("raw/%d", submitters), func(b *testing.B) { groupCommit(b, submitters, rawLog(b)) })
		b.Run(fmt.Sprintf("log/%d", submitters), func(b *testing.B) { groupCommit(b, submitters, fileLog(b)) })
	}
}

// fileLog appends to a real log whose segments are made ahead.
func fileLog(b *testing.B) func([][]byte) error {
	l, err := file.Open(file.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	go func() { _ = l.Run(b.Context()) }()
	b.Cleanup(func() { _ = l.Close() })
	if err := l.Append(1, 1, [][]byte{{1}}); err != nil {
		b.Fatal(err)
	}
	return func(batch [][]byte) error { return l.Append(l.Next(), 1, batch) }
}

// rawLog overwrites a zeroed file of 64 MiB again and again.
func rawLog(b *testing.B) func([][]byte) error {
	const size = 64 << 20
	f, err := os.Create(filepath.Join(b.TempDir(), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	if _, err := f.Write(make([]byte, size)); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	var buf []byte
	off := int64(0)
	return func(batch [][]byte) error {
		buf = buf[:0]
		for _, p := range batch {
			buf = binary.LittleEndian.AppendUint64(buf, uint64(len(p)))
			buf = append(buf, p...)
		}
		if off+int64(len(buf)) > size {
			off = 0
		}
		if _, err := f.WriteAt(buf, off); err != nil {
			return err
		}
		off += int64(len(buf))
		return syscall.Fdatasync(int(f.Fd()))
	}
}

// groupCommit has submitters that each wait for their record before they send the
// next, and one committer that takes all that is pending.
func groupCommit(b *testing.B, submitters int, appendBatch func([][]byte) error) {
	type ack chan struct{}
	in := make(chan ack, submitters)
	payload := make([]byte, benchRecord)
	var wg sync.WaitGroup
	b.ResetTimer()
	for i := range submitters {
		n := b.N / submitters
		if i < b.N%submitters {
			n++
		}
		wg.Go(func() {
			done := make(ack, 1)
			for range n {
				in <- done
				<-done
			}
		})
	}
	go func() { wg.Wait(); close(in) }()
	batches := 0
	acks, batch := make([]ack, 0, submitters), make([][]byte, 0, submitters)
	for first := range in {
		acks, batch = append(acks[:0], first), append(batch[:0], payload)
		for len(in) > 0 && len(batch) < journal.MaxBatchRecords {
			acks, batch = append(acks, <-in), append(batch, payload)
		}
		if err := appendBatch(batch); err != nil {
			b.Fatal(err)
		}
		batches++
		for _, a := range acks {
			a <- struct{}{}
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(b.N)/float64(batches), "records/batch")
}
