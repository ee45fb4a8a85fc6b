package personal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/personal"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
	"github.com/mbp-market/mbp/engine/texts"
)

// house is a writer on a real journal, and a real store beside it.
type house struct {
	t     *testing.T
	fs    *faultfs.FS
	seq   *sequencer.Sequencer
	store *texts.Store
	*personal.Keeper
	logs *bytes.Buffer // of the keeper; read when nothing runs

	now atomic.Int64 // µs
}

// The persons of a house: each has an account, and a key.
const (
	ana engine.AccountID = iota + 1
	bob
)

func open(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, fs: faultfs.New(), logs: &bytes.Buffer{}}
	h.now.Store(1_000_000)
	log, err := file.Open(file.Config{Dir: "journal", FS: h.fs, SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	h.seq, err = sequencer.New(sequencer.Config{Log: log, Now: func() time.Time { return time.UnixMicro(h.now.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.seq.Run(ctx) }()
	t.Cleanup(func() {
		end()
		if err := errors.Join(<-done, log.Close()); err != nil {
			t.Error(err)
		}
	})
	h.reopen()
	h.do(&engine.Initialise{Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(), Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "admin", Roles: engine.RoleAdmin}})
	for _, id := range []engine.AccountID{ana, bob} {
		h.do(&engine.OpenAccount{})
		h.do(&engine.AddKey{Key: engine.Key{SHA256: keyOf(id), Principal: name(id), Roles: engine.RoleOperator, Account: id}})
		h.do(&engine.GrantCredits{Account: id, Amount: 1000 * engine.One})
	}
	h.do(&engine.OpenMarket{Template: "binary@1.0.0", Title: "Does it snow?", Creator: bob, Liquidity: 100 * engine.One, Price: 500_000})
	return h
}

// reopen starts the keeper anew, on what is on the disk.
func (h *house) reopen() {
	h.t.Helper()
	if h.store != nil {
		if err := h.store.Close(); err != nil {
			h.t.Fatal(err)
		}
	}
	var err error
	if h.store, err = texts.Open(h.fs, "texts"); err != nil {
		h.t.Fatal(err)
	}
	h.Keeper = personal.New(h.store, h.seq, slog.New(slog.NewTextHandler(h.logs, nil)))
}

func keyOf(id engine.AccountID) engine.Digest { return engine.Digest{7, byte(id)} }
func name(id engine.AccountID) string         { return fmt.Sprintf("p%d", id) }
func by(id engine.AccountID, key string) personal.Author {
	return personal.Author{Principal: name(id), Account: id, Key: key}
}

// do has a command decided, which is not refused.
func (h *house) do(c engine.Command) *engine.Decision {
	h.t.Helper()
	got, err := h.seq.Submit(h.t.Context(), sequencer.Request{Principal: engine.System, Command: c})
	if err != nil || got.Decision.Code != engine.OK {
		h.t.Fatalf("%s: %v %+v", c.Type(), err, got.Decision)
	}
	return got.Decision
}

// note holds a text of a decision and has it named.
func (h *house) note(of engine.Seq, text string, a personal.Author) engine.Digest {
	h.t.Helper()
	c := &engine.NoteDecision{Decision: of}
	if err := h.Hold(c, text, a); err != nil {
		h.t.Fatal(err)
	}
	h.do(c)
	return c.Text
}

func (h *house) clarify(text string, a personal.Author) engine.Digest {
	h.t.Helper()
	c := &engine.ClarifyMarket{Market: 1}
	if err := h.Hold(c, text, a); err != nil {
		h.t.Fatal(err)
	}
	h.do(c)
	return c.Text
}

// market is the market as the edge would tell it.
func (h *house) market() engine.Market {
	h.t.Helper()
	var m engine.Market
	h.seq.View(func(s *core.State) { m, _ = s.Market(1, s.At()) })
	if err := h.Tell(&m); err != nil {
		h.t.Fatal(err)
	}
	return m
}

func (h *house) show(id engine.AccountID, all bool) personal.Doc {
	h.t.Helper()
	doc, err := h.Show(id, all)
	if err != nil {
		h.t.Fatal(err)
	}
	return doc
}

func code(err error) string {
	var refused *problem.Refusal
	if errors.As(err, &refused) {
		return refused.Code
	}
	return fmt.Sprint(err)
}

// TestHeldThenTold: a text is told where it belongs, also after a restart; a retry has
// the id of the first attempt; a command that takes no text takes none.
func TestHeldThenTold(t *testing.T) {
	h := open(t)
	id := h.clarify("Snow counts from a centimetre.", by(bob, "k1"))
	again := &engine.ClarifyMarket{Market: 1}
	if err := h.Hold(again, "Snow counts from a centimetre.", by(bob, "k1")); err != nil || again.Text != id {
		t.Errorf("a retry: %v %s, before %s", err, again.Text, id)
	}
	if err := h.Hold(again, "Snow counts from a centimetre.", by(ana, "k1")); err != nil || again.Text == id {
		t.Errorf("another person's: %v %s", err, again.Text)
	}
	if err := h.Hold(&engine.OpenAccount{}, "a text", by(ana, "k2")); err != nil {
		t.Errorf("a command without a text: %v", err)
	}
	granted := h.do(&engine.GrantCredits{Account: ana, Amount: 5})
	h.now.Store(2_000_000)
	note := h.note(granted.Seq, "for the survey", by(bob, "k3"))
	h.reopen()
	if m := h.market(); len(m.Clarifications) != 1 || m.Clarifications[0].Text != "Snow counts from a centimetre." {
		t.Errorf("%+v", m.Clarifications)
	}
	notes, err := h.Notes(granted.Seq)
	if want := []personal.Note{{ID: note, At: 2_000_000, By: "p2", Text: "for the survey"}}; err != nil || !slices.Equal(notes, want) {
		t.Errorf("%v: %+v", err, notes)
	}
	if got, err := h.Notes(granted.Seq + 1); err != nil || got == nil || len(got) != 0 {
		t.Errorf("of another decision: %v %v", got, err)
	}
}

// TestShow: a person is shown what it wrote, an admin what others wrote about it, too;
// whom a decision is about is found in every kind of decision that has such a person.
func TestShow(t *testing.T) {
	h := open(t)
	about := []engine.Command{
		&engine.GrantCredits{Account: ana, Amount: 5}, &engine.AddKey{Key: engine.Key{SHA256: engine.Digest{8}, Principal: "bot", Roles: engine.RoleTrader, Account: ana, ExpiresAt: 3_000_000}},
		&engine.PlaceOrder{Account: ana, Market: 1, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.GTC, Shares: engine.One, Limit: 100_000},
		&engine.CancelAll{Account: ana},
		&engine.Batch{Items: []engine.Command{&engine.CancelAll{Account: ana}}},
		&engine.Moderate{Action: engine.LimitAccount, Account: ana, Until: 9_000_000, EvidenceURI: "https://example.org/x", EvidenceSHA256: engine.Digest{6}},
	}
	for n, c := range about {
		h.note(h.do(c).Seq, fmt.Sprintf("about number %d", n), by(bob, fmt.Sprint("a", n)))
	}
	h.note(h.do(&engine.SetMode{Mode: engine.ModeLite, Reason: "quiet"}).Seq, "about nobody", by(bob, "b"))
	own := h.clarify("by herself", by(ana, "c"))
	self := h.show(ana, false)
	if len(self.Texts) != 1 || self.Texts[0].ID != own || self.Texts[0].Market != 1 || self.Identity || self.Erased || self.Account != ana {
		t.Errorf("she is shown %+v", self)
	}
	all := h.show(ana, true)
	if len(all.Texts) != len(about)+1 || all.Texts[0].Text != "about number 0" || all.Texts[0].By != "p2" || all.Texts[0].Decision == 0 {
		t.Errorf("an admin is shown %+v", all.Texts)
	}
	// A key whose time is over is shown until it is revoked: it is held.
	h.now.Store(5_000_000)
	h.do(&engine.OpenAccount{})
	if keys := h.show(ana, false).Keys; len(keys) != 2 || keys[1].ExpiresAt != 3_000_000 {
		t.Errorf("keys: %+v", keys)
	}
	if _, _, err := h.store.Person(engine.Digest{9}, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Show(99, true); code(err) != engine.AccountNotFound.String() {
		t.Errorf("an account that is not there: %v", err)
	}
}

// TestIdentityIsShown: that the store links a person of the provider is said, and who
// it is is not; erased, a person who comes again is somebody new.
func TestIdentityIsShown(t *testing.T) {
	h := open(t)
	index := engine.Digest{9}
	id, _, err := h.store.Person(index, 1)
	if err != nil {
		t.Fatal(err)
	}
	h.do(&engine.AddKey{Key: engine.Key{SHA256: id, Principal: "oidc.x", Roles: engine.RoleTrader, Account: ana, Identity: true}})
	if doc := h.show(ana, true); !doc.Identity || len(doc.Texts) != 0 {
		t.Errorf("%+v", doc)
	}
	if err := h.Erased(h.do(&engine.ErasePerson{Account: ana})); err != nil { // by the digest alone: it was never bound
		t.Fatal(err)
	}
	if doc := h.show(ana, true); doc.Identity || !doc.Erased || len(doc.Keys) != 0 {
		t.Errorf("%+v", doc)
	}
	if again, _, err := h.store.Person(index, 2); err != nil || again == id {
		t.Errorf("%v: it is %s again", err, again)
	}
}

// TestEraseDuringReads: while a person is erased readers are told a text or none, and
// nobody is told one that began after the erasure was answered; other people's stay.
func TestEraseDuringReads(t *testing.T) {
	h := open(t)
	const each = 8
	for n := range each {
		h.clarify(fmt.Sprintf("ana %d", n), by(ana, fmt.Sprint(n)))
		h.clarify(fmt.Sprintf("bob %d", n), by(bob, fmt.Sprint(n)))
	}
	noted := h.do(&engine.SetMode{Mode: engine.ModeLite, Reason: "quiet"}).Seq
	h.note(noted, "ana of the mode", by(ana, "n"))
	h.note(noted, "bob of the mode", by(bob, "n"))
	var gone atomic.Bool
	var wg sync.WaitGroup
	stop, reads := make(chan struct{}), make(chan struct{}, 1000)
	look := func() {
		after := gone.Load()
		anas, bobs := 0, 0
		for _, c := range h.market().Clarifications {
			switch {
			case strings.HasPrefix(c.Text, "ana "):
				anas++
			case strings.HasPrefix(c.Text, "bob "):
				bobs++
			case c.Text != "":
				t.Errorf("half a text: %q", c.Text)
			}
		}
		held, err := h.Show(ana, true)
		notes, err2 := h.Notes(noted)
		if err = errors.Join(err, err2); err != nil || bobs != each || after && (anas != 0 || len(held.Texts) != 0 || len(notes) != 1) {
			t.Errorf("%v: %d of ana, %d of bob, %d shown, %d notes, after the end: %t", err, anas, bobs, len(held.Texts), len(notes), after)
		}
	}
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					look()
				}
				select {
				case reads <- struct{}{}:
				default:
				}
			}
		})
	}
	enough := func() { // reads that began meanwhile
		for range 20 {
			<-reads
		}
	}
	enough()
	d := h.do(&engine.ErasePerson{Account: ana})
	if err := h.Erased(d); err != nil {
		t.Fatal(err)
	}
	gone.Store(true)
	enough()
	close(stop)
	wg.Wait()
	look()
	if b := h.fs.Bytes("texts/texts"); bytes.Contains(b, []byte("ana ")) || !bytes.Contains(b, []byte("bob ")) {
		t.Errorf("the file still has her texts, or his no more: %v", h.fs.Names())
	}
	if !strings.Contains(h.logs.String(), "erased a person") || strings.Contains(h.logs.String(), "ana 0") {
		t.Errorf("the log says %s", h.logs)
	}
}

// TestRunForgets: what a process that died or a backup has left is forgotten at the
// next start, and so is whoever another process erases while this one follows; and Run
// ends with its context.
func TestRunForgets(t *testing.T) {
	h := open(t)
	h.clarify("ana one", by(ana, "1"))
	h.clarify("bob one", by(bob, "1"))
	h.do(&engine.ErasePerson{Account: ana}) // and nobody tells the store
	h.reopen()
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	left := func() (texts []string) {
		for _, c := range h.market().Clarifications {
			texts = append(texts, c.Text)
		}
		return texts
	}
	until := func(want ...string) {
		t.Helper()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for begun := time.Now(); !slices.Equal(left(), want); <-tick.C {
			if time.Since(begun) > 10*time.Second {
				t.Fatalf("there are %q, want %q", left(), want)
			}
		}
	}
	until("", "bob one")
	h.do(&engine.ErasePerson{Account: bob})
	until("", "")
	if end(); <-done != nil {
		t.Error("Run ends with an error")
	}
	if !strings.Contains(h.logs.String(), "a crash or a restore had left something") {
		t.Errorf("the log says %s", h.logs)
	}
}

// TestStoreThatFails: what cannot be stored is not decided, what cannot be looked up is
// said, with a time to come again, and an erasure that was not done is an error and is
// tried again by Run.
func TestStoreThatFails(t *testing.T) {
	h := open(t)
	h.clarify("ana one", by(ana, "1"))
	if err := h.store.Close(); err != nil {
		t.Fatal(err)
	}
	c := &engine.ClarifyMarket{Market: 1}
	var refused *problem.Refusal
	if err := h.Hold(c, "two", by(ana, "2")); !errors.As(err, &refused) || refused.Code != problem.Failed || refused.RetryAfter == 0 || !errors.Is(refused.Cause, texts.ErrFailed) || c.Text != (engine.Digest{}) {
		t.Errorf("%v, and the command names %s", err, c.Text)
	}
	d := h.do(&engine.ErasePerson{Account: ana})
	if err := h.Erased(d); !errors.Is(err, texts.ErrFailed) {
		t.Errorf("an erasure that was not done: %v", err)
	}
	ctx, end := context.WithCancel(t.Context())
	end()
	if err := h.Run(ctx); err != nil {
		t.Error(err)
	}
	h.reopen()
	if got := h.market().Clarifications[0].Text; got != "ana one" {
		t.Fatalf("there is %q", got)
	}
	if err := h.Erased(d); err != nil {
		t.Error(err)
	}
	if got := h.market().Clarifications[0].Text; got != "" {
		t.Errorf("there is %q", got)
	}
}

// TestWithoutAStore: a server that keeps no texts takes none, tells none and erases
// nothing, and shows the keys.
func TestWithoutAStore(t *testing.T) {
	h := open(t)
	h.clarify("ana one", by(ana, "1"))
	h.Keeper = personal.New(nil, h.seq, slog.New(slog.DiscardHandler))
	if err := h.Hold(&engine.ClarifyMarket{Market: 1}, "two", by(ana, "2")); code(err) != problem.NotFound {
		t.Errorf("%v", err)
	}
	if got := h.market().Clarifications[0].Text; got != "" {
		t.Errorf("there is %q", got)
	}
	if doc := h.show(ana, true); len(doc.Keys) != 1 || doc.Texts == nil || len(doc.Texts) != 0 {
		t.Errorf("%+v", doc)
	}
	if notes, err := h.Notes(1); err != nil || notes == nil || len(notes) != 0 {
		t.Errorf("%v %v", notes, err)
	}
	if err := errors.Join(h.Erased(h.do(&engine.ErasePerson{Account: ana})), h.Run(t.Context())); err != nil {
		t.Error(err)
	}
}

// TestBounds: one author writes so much and no more, and is told so; a text is as long
// as a paragraph; of the notes of a decision so many are told, the oldest.
func TestBounds(t *testing.T) {
	h := open(t)
	most := texts.MaxOfAuthor
	if testing.Short() {
		most = 0
	}
	long := strings.Repeat("x", texts.MaxText)
	if err := h.Hold(&engine.NoteDecision{Decision: 1}, long, by(bob, "long")); err != nil {
		t.Errorf("a text of %d bytes: %v", len(long), err)
	}
	if err := h.Hold(&engine.NoteDecision{Decision: 1}, long+"x", by(bob, "longer")); code(err) != problem.Failed {
		t.Errorf("a longer one: %v", err)
	}
	for n := range most {
		if err := h.Hold(&engine.NoteDecision{Decision: 2}, "x", by(ana, fmt.Sprint(n))); err != nil {
			t.Fatalf("text %d: %v", n, err)
		}
	}
	if most == 0 {
		return
	}
	if err := h.Hold(&engine.NoteDecision{Decision: 2}, "x", by(ana, "more")); code(err) != engine.LimitReached.String() {
		t.Errorf("one more: %v", err)
	}
	if err := h.Hold(&engine.NoteDecision{Decision: 2}, "x", by(ana, "7")); err != nil {
		t.Errorf("a retry of an old one: %v", err)
	}
	if err := h.Hold(&engine.NoteDecision{Decision: 2}, "x", by(bob, "one")); err != nil {
		t.Errorf("somebody else's: %v", err)
	}
	if notes, err := h.Notes(2); err != nil || len(notes) != 1000 {
		t.Errorf("%v: %d notes are told", err, len(notes))
	}
	if doc := h.show(ana, true); len(doc.Texts) != texts.MaxOfAuthor {
		t.Errorf("she is shown %d texts", len(doc.Texts))
	}
}
