package nodetest

import (
	"bytes"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
)

// Early plants a defect: a log that acknowledges a batch when it comes, and
// appends it when the next one does.
func Early(log journal.Log) journal.Log { return &early{Log: log, next: log.Next()} }

type early struct {
	journal.Log
	next uint64
	owed func() error
}

func (l *early) Next() uint64 { return l.next }

func (l *early) Append(first uint64, at int64, payloads [][]byte) error {
	var kept [][]byte
	for _, p := range payloads {
		kept = append(kept, bytes.Clone(p))
	}
	pay := l.owed
	l.owed = func() error { return l.Log.Append(first, at, kept) }
	l.next = first + uint64(len(payloads))
	if pay == nil {
		return nil
	}
	return pay()
}

// Forgetful plants a defect: a log that a restart reads without the idempotency
// keys.
func Forgetful(log journal.Log) journal.Log { return forgetful{log} }

type forgetful struct{ journal.Log }

func (l forgetful) Read(from uint64, fn func(journal.Record) error) error {
	return l.Log.Read(from, func(r journal.Record) error {
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		if err != nil {
			return err
		}
		d.Key, d.Input = engine.Tag{}, engine.Tag{}
		r.Payload = d.Append(nil)
		return fn(r)
	})
}
