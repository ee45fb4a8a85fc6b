package offline

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/personal"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/texts"
	"github.com/mbp-market/mbp/engine/texts/postgres"
)

// words is what the journal says of the store of texts, collected while it is folded.
type words struct {
	named   map[engine.Digest]naming                 // texts that decisions name
	order   []engine.Digest                          // of named
	erased  map[engine.AccountID]engine.Seq          // accounts, and the decision that erased each
	holders map[string]map[engine.AccountID]struct{} // of each principal that has keys, its accounts
	persons map[engine.Digest]engine.AccountID       // pseudonyms of persons, and their accounts
}

// naming is where a text is named.
type naming struct {
	seq    engine.Seq
	by     string // principal
	kind   texts.Kind
	market engine.MarketID
	of     engine.Seq
}

func newWords() *words {
	return &words{
		named: map[engine.Digest]naming{}, erased: map[engine.AccountID]engine.Seq{},
		holders: map[string]map[engine.AccountID]struct{}{}, persons: map[engine.Digest]engine.AccountID{},
	}
}

// see takes what a decision says.
func (w *words) see(d *engine.Decision) {
	for _, e := range d.Events {
		switch x := e.(type) {
		case *engine.MarketClarified:
			w.name(x.Text, naming{d.Seq, d.Principal, texts.Clarification, x.Market, 0})
		case *engine.DecisionNoted:
			w.name(x.Text, naming{d.Seq, d.Principal, texts.Note, 0, x.Decision})
		case *engine.PersonErased:
			w.erased[x.Account] = d.Seq
		case *engine.KeyAdded:
			if x.Key.Account == 0 {
				continue
			}
			if w.holders[x.Key.Principal] == nil {
				w.holders[x.Key.Principal] = map[engine.AccountID]struct{}{}
			}
			w.holders[x.Key.Principal][x.Key.Account] = struct{}{}
			if x.Key.Identity {
				w.persons[x.Key.SHA256] = x.Key.Account
			}
		}
	}
}

func (w *words) name(id engine.Digest, n naming) {
	if _, twice := w.named[id]; !twice {
		w.order = append(w.order, id)
	}
	w.named[id] = n
}

// textsFound is what checkTexts says.
type textsFound struct {
	Entries int `json:"entries"`
	Named   int `json:"named"`   // texts that the journal names and the store has
	Erased  int `json:"erased"`  // that it names, and that went with a person
	Unnamed int `json:"unnamed"` // texts that no decision names: their commands were refused, or never came
	Persons int `json:"persons"`
}

// checkTexts compares the store of texts with the journal: each text has the id under
// which it is held, each id that a decision names is held as what it says, unless
// somebody whom it concerns was erased, and of who was erased nothing is held.
func checkTexts(ctx context.Context, f *fsck, found *finding) error {
	if f.words == nil {
		return errors.New("the journal was not folded")
	}
	var out textsFound
	held := map[engine.Digest]bool{}
	place, err := f.eachText(ctx, func(place string, e *texts.Entry) {
		out.Entries++
		held[e.ID] = true
		f.words.entry(place, e, f.log.Held(), &out, found)
	})
	found.Bytes = 0
	if errors.Is(err, texts.ErrDamaged) {
		found.fault(fault{Place: place, Reason: err.Error()})
	} else if err = errors.Join(err, f.erasedMeanwhile()); err != nil {
		return err
	}
	for _, id := range f.words.order {
		n := f.words.named[id]
		switch {
		case held[id]:
			out.Named++
		case err != nil: // it may be behind the damage
		default:
			if err := f.missing(id, n, &out, found); err != nil {
				return err
			}
		}
	}
	found.Found = out
	found.said = fmt.Sprintf("%d texts are as the journal names them, %d went with a person, %d are named by nothing; %d persons", out.Named, out.Erased, out.Unnamed, out.Persons)
	return nil
}

// missing tells of a text that is named and not held.
func (f *fsck) missing(id engine.Digest, n naming, out *textsFound, found *finding) error {
	gone, err := f.wentWithAPerson(n)
	_, files := f.log.(folder)
	switch {
	case err != nil:
		return err
	case gone:
		out.Erased++
	case files && f.log.Held(): // its last batch is not read
		return fmt.Errorf("the %s %s that decision %d names is not in the store; the newest decision, which is not read beside the server, may have erased it: check again", n.kind, id, n.seq)
	default:
		found.fault(fault{Seq: uint64(n.seq), Reason: fmt.Sprintf("the %s %s is not in the store of texts; bring that back from the backup", n.kind, id)})
	}
	return nil
}

// entry looks at what is held. A server that runs may be about to forget somebody.
func (w *words) entry(place string, e *texts.Entry, served bool, out *textsFound, found *finding) {
	fail := func(seq engine.Seq, format string, args ...any) {
		found.fault(fault{Place: place, Seq: uint64(seq), Reason: fmt.Sprintf(format, args...)})
	}
	for _, account := range []engine.AccountID{e.Account, e.About} {
		if seq, gone := w.erased[account]; gone && account != 0 && !served {
			fail(seq, "something is held on %s, which was erased; the next start of the server erases it", account)
			return
		}
	}
	if e.Kind == texts.Identity {
		out.Persons++
		if of, known := w.persons[e.ID]; known && e.Account != 0 && e.Account != of {
			fail(0, "a person is bound to %s, and has %s in the journal", e.Account, of)
		}
		return
	}
	if texts.IDOf(e.Salt, e.Text) != e.ID {
		fail(0, "the text that is held as %s has another id", e.ID)
		return
	}
	n, named := w.named[e.ID]
	switch {
	case !named:
		out.Unnamed++
	case n.kind != e.Kind || n.by != e.Author || n.market != e.Market || n.of != e.Of:
		fail(n.seq, "the text %s is held as a %s by %s, of market %s and decision %d; the journal says otherwise", e.ID, e.Kind, e.Author, e.Market, e.Of)
	}
}

// erasedMeanwhile takes note of whom a server that runs has erased since the journal
// was opened here: the store of texts is read after that.
func (f *fsck) erasedMeanwhile() error {
	if !f.log.Held() {
		return nil
	}
	log, err := f.reader(0, nil)
	if err != nil {
		return err
	}
	err = log.Read(f.log.Next(), func(r journal.Record) error {
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		if err != nil {
			return err
		}
		for _, e := range d.Events {
			if x, is := e.(*engine.PersonErased); is {
				f.words.erased[x.Account] = d.Seq
			}
		}
		return nil
	})
	return errors.Join(err, log.Close())
}

// wentWithAPerson reports whether somebody whom a text concerns was erased: who wrote
// it, or of whom it tells.
func (f *fsck) wentWithAPerson(n naming) (bool, error) {
	for account := range f.words.holders[n.by] {
		if f.words.erased[account] != 0 {
			return true, nil
		}
	}
	if n.of == 0 || len(f.words.erased) == 0 {
		return false, nil
	}
	var about engine.AccountID
	err := f.log.Read(uint64(n.of), func(r journal.Record) error {
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		if err != nil {
			return err
		}
		about = personal.About(d)
		return journal.ErrStop
	})
	return f.words.erased[about] != 0, err
}

// eachText calls fn with what the store of the journal's place holds. place is where
// that is.
func (f *fsck) eachText(ctx context.Context, fn func(place string, e *texts.Entry)) (place string, err error) {
	if f.journal != "" {
		place = "table mbp.text"
		return place, postgres.Each(ctx, f.journal, func(e *texts.Entry) { fn(place, e) })
	}
	dir := filepath.Join(f.data, texts.Folder)
	place = filepath.Join(dir, texts.Folder)
	entries, err := texts.Read(file.ReadOnly{}, dir)
	for e := range slices.Values(entries) {
		fn(place, e)
	}
	return place, err
}
