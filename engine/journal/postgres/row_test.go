package postgres

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// TestRowsHoldWhatTheyGot: batches of every shape come back record by record, in rows
// that fill a page, or two of which do, unless one record alone is longer.
func TestRowsHoldWhatTheyGot(t *testing.T) {
	long := bytes.Repeat([]byte{7}, packBytes)
	short := long[:246]
	for _, c := range []struct {
		rows  int
		batch [][]byte
	}{
		{1, [][]byte{{1}}},
		{1, [][]byte{{1}, {2}}},
		{1, [][]byte{long}},
		{1, [][]byte{long[:3996]}},
		{1, [][]byte{long[:1996], long[:1996]}},
		{2, [][]byte{long[:1996], long[:1997]}},
		{3, [][]byte{{1}, long, {2}, {3}}},
		{2, [][]byte{{1}, {2}, long}},
		{1, [][]byte{long[:3996], long[:3996]}},                  // a page
		{2, [][]byte{long[:3996], long[:3995]}},                  // two of one
		{2, [][]byte{long[:3996], long[:3997]}},                  // the second does not fit
		{2, slices.Repeat([][]byte{short}, 31)},                  // 7,750 bytes: two of a page
		{1, slices.Repeat([][]byte{short}, 32)},                  // 8,000: a page
		{4, slices.Repeat([][]byte{short}, 32+32+31)},            // the end as if it were alone
		{3, slices.Concat([][]byte{long, long}, [][]byte{long})}, // one by one
	} {
		batch := c.batch
		l := &Log{}
		params := l.encode(10, 5, batch)
		elements, seq := params[0][20:], uint64(10)
		var got [][]byte
		for _, r := range l.rows {
			n := int(elements[0])<<24 | int(elements[1])<<16 | int(elements[2])<<8 | int(elements[3])
			r.payload, elements = elements[4:4+n], elements[4+n:]
			if r.seq != seq || r.sum() != r.crc || n > fullBytes && r.records > 1 {
				t.Errorf("row %d of %d records and %d bytes", r.seq, r.records, n)
			}
			if err := r.each(func(p []byte) error { got = append(got, p); return nil }); err != nil {
				t.Error(err)
			}
			seq = r.next()
		}
		if len(l.rows) != c.rows {
			t.Errorf("%d records of %d bytes are %d rows, want %d", len(batch), len(batch[0]), len(l.rows), c.rows)
		}
		if len(elements) != 0 || len(got) != len(batch) {
			t.Fatalf("%d records came back as %d", len(batch), len(got))
		}
		for i := range got {
			if !bytes.Equal(got[i], batch[i]) {
				t.Errorf("record %d is another", i)
			}
		}
	}
}

// TestEveryBitOfARowCounts: a row with any bit turned has another checksum.
func TestEveryBitOfARowCounts(t *testing.T) {
	l := &Log{}
	payload := l.encode(10, 5, [][]byte{{1, 2}, {3, 4}})[0][24:]
	good := l.rows[0]
	good.payload = payload
	if good.sum() != good.crc {
		t.Fatal("the row does not hold itself")
	}
	for bit := range 8 * len(payload) {
		payload[bit/8] ^= 1 << (bit % 8)
		if good.sum() == good.crc {
			t.Errorf("bit %d of the payload does not count", bit)
		}
		payload[bit/8] ^= 1 << (bit % 8)
	}
	for bit := range 64 {
		for _, bad := range []row{
			{good.seq ^ 1<<bit, good.at, good.crc, good.records, payload},
			{good.seq, good.at ^ 1<<bit, good.crc, good.records, payload},
			{good.seq, good.at, good.crc, good.records ^ 1<<(bit%32), payload},
		} {
			if bad.sum() == good.crc {
				t.Errorf("bit %d of %+v does not count", bit, bad)
			}
		}
	}
}

// FuzzRow: whatever a row holds, its records are parts of it that fill it, or it is
// refused, and never reads beyond its end.
func FuzzRow(f *testing.F) {
	f.Add(uint32(1), []byte("x"))
	f.Add(uint32(2), []byte{0, 0, 0, 1, 9, 0, 0, 0, 2, 8, 7})
	f.Add(uint32(2), []byte{0, 0, 0, 1, 9, 255, 255, 255, 255})
	f.Add(uint32(3), []byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, records uint32, payload []byte) {
		r := row{records: records, payload: payload}
		var again [][]byte
		err := r.each(func(p []byte) error { again = append(again, p); return nil })
		if errors.Is(err, errForm) {
			return
		}
		if err != nil || uint32(len(again)) != records && records != 0 {
			t.Fatalf("%d records of %d, error %v", len(again), records, err)
		}
		if records == 0 {
			if len(payload) != 0 {
				t.Fatal("a row of nothing holds something")
			}
			return
		}
		if b := appendRow(nil, again); !bytes.Equal(b[lengthBytes:], payload) {
			t.Fatalf("%x came back as %x", payload, b[lengthBytes:])
		}
	})
}
