package file

import (
	"bytes"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
)

// FuzzFrame decodes arbitrary bytes: no panic, and what decodes encodes to the
// same bytes but for the padding.
func FuzzFrame(f *testing.F) {
	base := saltCRC(1, 2)
	for _, batch := range [][][]byte{{{1}}, {{1, 2, 3}, {4}}, {bytes.Repeat([]byte{7}, 100), {8, 9}, {1}}} {
		f.Add(appendFrame(nil, base, 42, 43, batch))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fr, err := decodeFrame(b, base)
		if err != nil {
			return
		}
		var payloads [][]byte
		err = fr.each(base, 0, func(r journal.Record) error {
			payloads = append(payloads, r.Payload)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		again := appendFrame(nil, base, fr.first, fr.at, payloads)
		used := frameHeader + len(fr.table) + len(fr.body)
		if len(again) != fr.size || !bytes.Equal(again[:used], b[:used]) {
			t.Fatal("a decoded frame encodes to other bytes")
		}
	})
}

// FuzzHeader decodes arbitrary segment headers.
func FuzzHeader(f *testing.F) {
	f.Add(encodeHeader(1, 77, 8192)[:headerSize], uint64(1))
	f.Fuzz(func(t *testing.T, b []byte, id uint64) {
		seg, err := decodeHeader(b, id)
		if err == nil && (seg.id != id || seg.size < headerBlock) {
			t.Fatalf("accepted %+v for segment %d", seg, id)
		}
	})
}

// TestFrameTamper flips each bit of a frame and uses it under another segment, salt
// and sequence; nothing but a flip in the padding may decode.
func TestFrameTamper(t *testing.T) {
	base := saltCRC(3, 9)
	b := appendFrame(nil, base, 10, 20, [][]byte{{1, 2, 3}, {4, 5, 6, 7}})
	if _, err := decodeFrame(b, base); err != nil {
		t.Fatal(err)
	}
	used := frameHeader + 2*tableEntry + 7
	for i := range b {
		for bit := range 8 {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << bit
			if _, err := decodeFrame(bad, base); (err == nil) != (i >= used) {
				t.Fatalf("byte %d bit %d: %v", i, bit, err)
			}
		}
	}
	if recordCRC(base, 10, []byte{1}) == recordCRC(base, 11, []byte{1}) {
		t.Fatal("a record passes under another sequence")
	}
	for _, other := range []uint32{saltCRC(4, 9), saltCRC(3, 8)} {
		if _, err := decodeFrame(b, other); err == nil {
			t.Fatal("a frame passes in another segment")
		}
	}
}

func TestSegmentNames(t *testing.T) {
	for _, id := range []uint64{1, 0xabcdef, 1<<64 - 1} {
		name := segmentName("", id)
		if got, ok := parseName(name); !ok || got != id {
			t.Errorf("%s reads as %d", name, got)
		}
	}
	for _, name := range []string{"seg-1.log", "seg-00000000000000AB.log", "seg-0000000000000001.log.new", "LOCK"} {
		if _, ok := parseName(name); ok {
			t.Errorf("%s is taken for a segment", name)
		}
	}
}
