package cdc

import "time"

// tracker knows which received decisions are not durable in the lake yet.
type tracker struct {
	received, durable uint64
	pending           []stamp // received and not durable, in order; bounded by the queue and the batch
	rows              map[string]int
}

type stamp struct {
	seq       uint64
	committed int64 // µs
}

// receive notes a decision that the source delivered.
func (t *tracker) receive(seq uint64, committed int64) {
	t.received = seq
	t.pending = append(t.pending, stamp{seq, committed})
}

// made notes that everything through seq is durable, with these rows.
func (t *tracker) made(seq uint64, rows map[string]int) {
	t.durable = seq
	n := 0
	for n < len(t.pending) && t.pending[n].seq <= seq {
		n++
	}
	t.pending = append(t.pending[:0], t.pending[n:]...)
	if t.rows == nil {
		t.rows = map[string]int{}
	}
	for table, n := range rows {
		t.rows[table] += n
	}
}

// age is how long the oldest decision that is not in the lake has been durable
// in the journal.
func (t *tracker) age(now time.Time) time.Duration {
	if len(t.pending) == 0 {
		return 0
	}
	return max(0, now.Sub(time.UnixMicro(t.pending[0].committed)))
}

// takeRows returns the rows per table since the last call.
func (t *tracker) takeRows() map[string]int {
	r := t.rows
	t.rows = nil
	return r
}
