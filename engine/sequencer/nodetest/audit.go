package nodetest

import (
	"crypto/sha256"
	"fmt"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
)

// auditor reads the log for itself. What it has read once is durable: it must be
// there the next time.
type auditor struct {
	digests []engine.Digest // of the records, the first is that of 1
	keys    map[engine.Tag]engine.Seq
	state   *core.State
	hashes  []engine.Digest // of what readers see after each sequence
	held    int             // how often a node did not trust its clock
}

func newAuditor() *auditor {
	s := core.New()
	return &auditor{keys: map[engine.Tag]engine.Seq{}, state: s, hashes: []engine.Digest{s.HashShown()}}
}

// read goes over the whole log and folds what is new.
func (a *auditor) read(from func(func(journal.Record) error) error) error {
	n := 0
	err := from(func(r journal.Record) error {
		n++
		if r.Seq != uint64(n) {
			return fmt.Errorf("record %d follows %d", r.Seq, n-1)
		}
		digest := engine.Digest(sha256.Sum256(r.Payload))
		if n <= len(a.digests) {
			if a.digests[n-1] != digest {
				return fmt.Errorf("record %d is not what it was", n)
			}
			return nil
		}
		a.digests = append(a.digests, digest)
		return a.fold(r)
	})
	if err != nil {
		return fmt.Errorf("the log: %w", err)
	}
	if n < len(a.digests) {
		return fmt.Errorf("LOST: the log had %d records and has %d", len(a.digests), n)
	}
	return nil
}

func (a *auditor) fold(r journal.Record) error {
	d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
	if err != nil {
		return err
	}
	if d.At < a.state.At() {
		return fmt.Errorf("decision %d is of %d, before %d", d.Seq, d.At, a.state.At())
	}
	if d.Key != (engine.Tag{}) {
		if first, twice := a.keys[d.Key]; twice {
			return fmt.Errorf("DOUBLED: decisions %d and %d are of the same key", first, d.Seq)
		}
		a.keys[d.Key] = d.Seq
	} else if d.Principal != engine.System {
		return fmt.Errorf("nobody asked for decision %d, %s of %s", d.Seq, d.Command.Type(), d.Principal)
	}
	if _, tick := d.Command.(*engine.Tick); tick && a.state.DeadlinesHeld() {
		return fmt.Errorf("decision %d acts on a deadline while they are held", d.Seq)
	}
	if x, is := d.Command.(*engine.SetDeadlines); is && d.Principal == engine.System && x.Held {
		a.held++
	}
	if err := a.state.Evolve(d); err != nil {
		return err
	}
	a.hashes = append(a.hashes, a.state.HashShown())
	return nil
}
