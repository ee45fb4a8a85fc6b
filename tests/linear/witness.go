package linear

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
)

// maxFaults is how many faults of a history are told; a broken one has thousands.
const maxFaults = 20

// Witness checks a whole history against the decisions of the journal, in order
// from 1. It returns what contradicts it; nil is a pass.
func Witness(ops []Op, decisions []*engine.Decision) error {
	w := &witness{decisions: decisions, keys: map[engine.Tag]engine.Seq{}}
	w.once()
	w.asked(ops)
	w.order(ops)
	var reads []*Read
	for i := range ops {
		switch op := &ops[i]; {
		case op.Read != nil:
			reads = append(reads, op.Read)
		case op.Write.Answer != nil:
			w.answer(op.Write)
		}
	}
	w.replay(reads)
	return errors.Join(w.faults...)
}

type witness struct {
	decisions []*engine.Decision
	keys      map[engine.Tag]engine.Seq
	faults    []error
}

func (w *witness) fault(format string, args ...any) {
	if len(w.faults) < maxFaults {
		w.faults = append(w.faults, fmt.Errorf(format, args...))
	}
}

// once: no key is decided twice.
func (w *witness) once() {
	for i, d := range w.decisions {
		if d.Seq != engine.Seq(i+1) {
			w.fault("decision %d is at place %d of the journal", d.Seq, i+1)
		}
		if d.Key == (engine.Tag{}) {
			continue
		}
		if first, twice := w.keys[d.Key]; twice {
			w.fault("decisions %d and %d are of one idempotency key", first, d.Seq)
		}
		w.keys[d.Key] = d.Seq
	}
}

// asked: whoever asked for anything asked for all that was decided for them.
func (w *witness) asked(ops []Op) {
	who, tags := map[string]bool{}, map[engine.Tag]bool{}
	for _, op := range ops {
		if op.Write != nil {
			who[op.Write.Principal] = true
			tags[op.Write.tag()] = true
		}
	}
	for _, d := range w.decisions {
		if who[d.Principal] && !tags[d.Key] {
			w.fault("decision %d, %s of %s, was not asked for", d.Seq, d.Command.Type(), d.Principal)
		}
	}
}

// tag is the write's key as the journal holds it.
func (x *Write) tag() engine.Tag {
	sum := sha256.Sum256([]byte(x.Principal + "\x00" + x.Key))
	return engine.Tag(sum[:16])
}

// answer: what was told is what the journal has, under the key that asked.
func (w *witness) answer(x *Write) {
	a := x.Answer
	switch seq, there := w.keys[x.tag()]; {
	case !there:
		w.fault("%s %s was answered with decision %d, and the journal does not know its key", x.Principal, x.Key, a.Seq)
	case seq != a.Seq:
		w.fault("%s %s was answered with decision %d, and the journal has it at %d", x.Principal, x.Key, a.Seq, seq)
	case !a.equals(w.decisions[seq-1]) || !a.of(x):
		w.fault("%s %s, decision %d, was answered otherwise than the journal says", x.Principal, x.Key, a.Seq)
	}
}

// order: who asked after somebody was told of a sequence was decided after it, and
// a read shows what it asked for.
func (w *witness) order(ops []Op) {
	type moment struct {
		at   time.Duration
		seq  engine.Seq
		ends bool
		what string
	}
	var all []moment
	asked := map[[2]string]time.Duration{} // when a key was first sent
	for _, op := range ops {
		if x := op.Write; x != nil {
			key := [2]string{x.Principal, x.Key}
			if at, known := asked[key]; !known || op.Call < at {
				asked[key] = op.Call
			}
		}
	}
	for _, op := range ops {
		switch {
		case op.Read != nil:
			r := op.Read
			if r.Seq < r.AtLeast {
				w.fault("a read asked for decision %d and shows %d", r.AtLeast, r.Seq)
			}
			all = append(all, moment{at: op.Return, seq: r.Seq, ends: true})
		case op.Write.Answer != nil:
			x := op.Write
			begin := asked[[2]string{x.Principal, x.Key}]
			all = append(all, moment{at: begin, seq: x.Answer.Seq, what: x.Principal + " " + x.Key}, moment{at: op.Return, seq: x.Answer.Seq, ends: true})
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].at < all[j].at })
	known := engine.Seq(0)
	for _, m := range all {
		if m.ends {
			known = max(known, m.seq)
		} else if m.seq <= known {
			w.fault("%s is decision %d, but decision %d was known before it was asked", m.what, m.seq, known)
		}
	}
}

// replay folds the journal and looks at every read where it says it stood.
func (w *witness) replay(reads []*Read) {
	sort.SliceStable(reads, func(i, j int) bool { return reads[i].Seq < reads[j].Seq })
	s := core.New()
	compare := func() {
		for len(reads) > 0 && reads[0].Seq == s.Seq() {
			w.read(s, reads[0])
			reads = reads[1:]
		}
	}
	compare()
	for _, d := range w.decisions {
		if err := s.Evolve(d); err != nil {
			w.fault("decision %d does not fold: %w", d.Seq, err)
			return
		}
		compare()
	}
	if len(reads) > 0 {
		w.fault("%d reads are of decisions after the last one, %d; the first of %d", len(reads), s.Seq(), reads[0].Seq)
	}
	if err := s.Check(); err != nil {
		w.fault("the state at the end: %w", err)
	}
}

func (w *witness) read(s *core.State, r *Read) {
	if r.Account != nil {
		want, _ := s.Account(r.Account.Account)
		if a, b := canonical(want), canonical(*r.Account); !bytes.Equal(a, b) {
			w.fault("a read at decision %d shows %s, the journal gives %s", r.Seq, b, a)
		}
		return
	}
	order := r.Quote.Order
	f, _, code, _ := s.Quote(&order, s.At())
	if code != r.Quote.Code || f.Amount != r.Quote.Amount || f.Shares != r.Quote.Shares {
		w.fault("a quote at decision %d is %s of %d for %d, the journal gives %s of %d for %d",
			r.Seq, r.Quote.Code, r.Quote.Shares, r.Quote.Amount, code, f.Shares, f.Amount)
	}
}

func canonical(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // it has a JSON form
	}
	return b
}
