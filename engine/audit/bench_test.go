package audit

import (
	"context"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// recordSize is that of a common decision: an order that fills.
const recordSize = 220

func benchmarkLog(b *testing.B, n int) *file.Log {
	b.Helper()
	l, err := file.Open(file.Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	payload := append(decision(1, 0), make([]byte, recordSize)...)[:recordSize]
	batch := make([][]byte, journal.MaxBatchRecords)
	for i := range batch {
		batch[i] = payload
	}
	for n > 0 {
		k := min(n, len(batch))
		if err := l.Append(l.Next(), 1, batch[:k]); err != nil {
			b.Fatal(err)
		}
		n -= k
	}
	return l
}

// BenchmarkHashJournal is everything that a decision costs off the commit path:
// read it from the journal's file, hash it, write its hashes.
func BenchmarkHashJournal(b *testing.B) {
	l := benchmarkLog(b, b.N)
	x, err := New(Config{Dir: b.TempDir(), Log: l, Key: testKey(b)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	if err := x.folder.openTree(true); err != nil {
		b.Fatal(err)
	}
	if err := x.catchUp(context.Background(), l.Next()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkLeaf is the hashing alone.
func BenchmarkLeaf(b *testing.B) {
	payload := make([]byte, recordSize)
	var edge frontier
	hashes := edge.add(LeafHash(1, payload), nil)
	b.ReportAllocs()
	for b.Loop() {
		hashes = edge.add(LeafHash(2, payload), hashes[:0])
	}
}

// BenchmarkProve makes a proof under a tree of a million records.
func BenchmarkProve(b *testing.B) {
	const n = 1_000_000
	l := benchmarkLog(b, n-1)
	if err := l.Append(n, 1, [][]byte{decision(n, 0)}); err != nil { // the last one is decoded
		b.Fatal(err)
	}
	x, err := New(Config{Dir: b.TempDir(), Log: l, Key: testKey(b)})
	if err != nil {
		b.Fatal(err)
	}
	x.Drain()
	if err := x.Run(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Run("inclusion", func(b *testing.B) {
		for b.Loop() {
			if _, err := x.Prove(n / 3); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("consistency", func(b *testing.B) {
		for b.Loop() {
			if _, err := x.Grow(n/3, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			y, err := New(Config{Dir: x.cfg.Dir, Log: l, Key: x.cfg.Key})
			if err != nil {
				b.Fatal(err)
			}
			if err := y.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
