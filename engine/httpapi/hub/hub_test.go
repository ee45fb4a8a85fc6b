package hub

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
)

// joined opens a stream from now on.
func joined(t *testing.T, h *Hub, owner engine.Digest) *Stream {
	t.Helper()
	s, err := h.Enter(owner, Topic{})
	if err != nil {
		t.Fatal(err)
	}
	if missed, _, ok := h.Join(s, h.Position()); !ok || len(missed) != 0 {
		t.Fatalf("%v, missed %d", ok, len(missed))
	}
	return s
}

// TestHubDropsTheSlow: who does not read loses the stream and nobody waits.
func TestHubDropsTheSlow(t *testing.T) {
	h := New(10, 10)
	h.Begin(0, 0)
	slow, quick := joined(t, h, engine.Digest{1}), joined(t, h, engine.Digest{2})
	dropped := 0
	for i := range engine.Seq(Buffer + 10) {
		dropped += h.Broadcast(Frame{Seq: i + 1, Text: []byte("x")})
		if f := <-quick.frames; f.Seq != i+1 {
			t.Fatalf("got %d, want %d", f.Seq, i+1)
		}
	}
	if dropped != 1 || len(h.subs) != 1 || h.owners[engine.Digest{1}] != 0 {
		t.Errorf("%d dropped, %d left", dropped, len(h.subs))
	}
	last := engine.Seq(0)
	for f := range slow.frames { // what it has is whole, and then it ends
		if f.Seq != last+1 {
			t.Fatalf("%d after %d", f.Seq, last)
		}
		last = f.Seq
	}
	if last != Buffer {
		t.Errorf("the slow one got %d", last)
	}
}

// TestHubRemembersAndForgets: the ring gives exactly what came after an id, and
// says when it cannot.
func TestHubRemembersAndForgets(t *testing.T) {
	h := New(1<<20, 1<<20)
	h.Begin(100, 100)
	const n = 3*Remembered + 7
	for i := engine.Seq(101); i <= 100+n; i++ {
		text := []byte("x")
		if i%2 == 0 {
			text = nil // a decision that tells nothing
		}
		h.Broadcast(Frame{Seq: i, Text: text})
	}
	end := engine.Seq(100 + n)
	for _, after := range []engine.Seq{1, 99, 100, 101, end - 2*Remembered - 1, end - 2*Remembered, end - 2*Remembered + 1, end - 5, end - 1, end, end + 1} {
		s, err := h.Enter(engine.Digest{}, Topic{})
		if err != nil {
			t.Fatal(err)
		}
		missed, _, resumed := h.Join(s, after)
		if resumed != (after >= h.since) {
			t.Errorf("after %d: resumed=%v with everything since %d", after, resumed, h.since)
		}
		if !resumed {
			continue
		}
		want := after + 1 + after%2 // the next odd one
		for _, f := range missed {
			if f.Seq != want {
				t.Fatalf("after %d: got %d, want %d", after, f.Seq, want)
			}
			want += 2
		}
		if want <= end {
			t.Errorf("after %d: %d is missing", after, want)
		}
	}
	if h.since < end-2*Remembered-2 || h.since > end-2*Remembered+2 {
		t.Errorf("the ring goes back to %d", h.since)
	}
	h.Close()
	if _, err := h.Enter(engine.Digest{}, Topic{}); err == nil {
		t.Error("a closed hub takes a stream")
	}
	if _, err := New(1, 1).Enter(engine.Digest{}, Topic{}); err == nil {
		t.Error("a hub to which nothing comes yet takes a stream")
	}
}

// TestHubRecalls: before what was told earlier is handed out once more no stream is
// taken; then one that goes on in the middle of it gets the rest.
func TestHubRecalls(t *testing.T) {
	h := New(10, 10)
	h.Begin(10, 20)
	for i := engine.Seq(11); i <= 20; i++ {
		if _, err := h.Enter(engine.Digest{}, Topic{}); !errors.Is(err, ErrStarting) {
			t.Fatalf("at %d: %v", i, err)
		}
		h.Broadcast(Frame{Seq: i, Text: []byte("x")})
	}
	s, err := h.Enter(engine.Digest{}, Topic{})
	if err != nil {
		t.Fatal(err)
	}
	if missed, _, ok := h.Join(s, 15); !ok || len(missed) != 5 || missed[0].Seq != 16 {
		t.Errorf("%v: %d frames", ok, len(missed))
	}
}

// TestHubRemembersBytes: long frames are fewer.
func TestHubRemembersBytes(t *testing.T) {
	h := New(1, 1)
	h.Begin(0, 0)
	const size = ringBytes / 100
	for i := range engine.Seq(1000) {
		h.Broadcast(Frame{Seq: i + 1, Text: make([]byte, size)})
	}
	if len(h.ring) != 100 || h.bytes != 100*size || h.since != 900 || cap(h.ring) > Remembered {
		t.Errorf("%d frames of %d bytes since %d, room for %d", len(h.ring), h.bytes, h.since, cap(h.ring))
	}
}

// TestHeldQuotesAreNotForgotten: once the ring has no room for them, who may have
// missed them begins again.
func TestHeldQuotesAreNotForgotten(t *testing.T) {
	h := New(10, 10)
	h.Begin(5, 5)
	h.Broadcast(Frame{Seq: 6, Text: []byte("trade")})
	h.Broadcast(Frame{Seq: 6, Text: []byte("quotes"), Again: true})
	for seq := range engine.Seq(Remembered - 1) {
		h.Broadcast(Frame{Seq: 7 + seq, Text: []byte("trade")})
	}
	from := func(owner byte, after engine.Seq) (missed []*Frame, ok bool) {
		s, err := h.Enter(engine.Digest{owner}, Topic{})
		if err != nil {
			t.Fatal(err)
		}
		missed, _, ok = h.Join(s, after)
		return missed, ok
	}
	if missed, ok := from(0, 6); !ok || string(missed[0].Text) != "quotes" || len(missed) != Remembered {
		t.Errorf("resumed %v with %d frames", ok, len(missed))
	}
	h.Broadcast(Frame{Seq: 7 + Remembered, Text: []byte("trade")}) // the quotes leave
	if _, ok := from(1, 6); ok {
		t.Error("who has decision 6 may miss its quotes")
	}
	if _, ok := from(2, 7); !ok {
		t.Error("who has decision 7 misses nothing")
	}
}

// TestHubByTopic: who follows a market or an account gets what is of it alone, live and
// from the ring, and heartbeats; a market's end goes to every account.
func TestHubByTopic(t *testing.T) {
	h := New(100, 100)
	h.Begin(0, 0)
	topics := []Topic{{}, {Market: 1}, {Market: 2}, {Market: 3}, {Account: 1}, {Account: 2}, {Account: 3}}
	var live []*Stream
	for i, topic := range topics {
		s, err := h.Enter(engine.Digest{byte(1 + i)}, topic)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, ok := h.Join(s, 0); !ok {
			t.Fatal("it cannot join")
		}
		live = append(live, s)
	}
	for _, f := range []Frame{
		{Seq: 1, Text: []byte("one"), Markets: []Part{{1, []byte("one")}}, Accounts: []engine.AccountID{1, 2}},
		{Seq: 2, Text: []byte("both"), Markets: []Part{{1, []byte("a")}, {2, []byte("b")}}},
		{Seq: 3, Accounts: []engine.AccountID{2}},
		{Seq: 4},
		{Seq: 4, Text: []byte("held"), Markets: []Part{{2, []byte("held")}}, Again: true},
		{Seq: 5, Text: []byte("end"), Markets: []Part{{1, []byte("end")}}, Ends: true},
		{Seq: 5, Text: []byte("beat"), Beat: true},
	} {
		h.Broadcast(f)
	}
	want := []string{
		"1 one,2 both,4 held,5 end,5 beat", "1 one,2 a,5 end,5 beat", "2 b,4 held,5 beat", "5 beat", "1 ,5 ,5 beat", "1 ,3 ,5 ,5 beat", "5 ,5 beat",
	}
	for i, s := range live {
		got, _ := s.Next(t.Context(), nil)
		if said := tell(got); said != want[i] {
			t.Errorf("%+v live: %s, want %s", topics[i], said, want[i])
		}
		late, err := h.Enter(engine.Digest{1}, topics[i])
		if err != nil {
			t.Fatal(err)
		}
		missed, at, ok := h.Join(late, 0)
		if said := tell(missed); !ok || at != 5 || said+",5 beat" != want[i] && said+"5 beat" != want[i] {
			t.Errorf("%+v from the ring: %s up to %d", topics[i], said, at)
		}
		if again, _, _ := h.Join(late, 4); i == 2 && (len(again) != 1 || !again[0].Again) {
			t.Errorf("what was held of decision 4 is lost: %s", tell(again))
		}
	}
	h.End(engine.Digest{2}, 3)
	for i, s := range live {
		_, open := h.subs[s]
		if want := i != 1 && i != 6; open != want {
			t.Errorf("%+v is open: %v", topics[i], open)
		}
	}
	h.Close()
	if len(h.topics) != 0 || len(h.owners) != 0 {
		t.Errorf("%d topics and %d owners are left", len(h.topics), len(h.owners))
	}
}

func tell(frames []*Frame) string {
	var words []string
	for _, f := range frames {
		words = append(words, fmt.Sprintf("%d %s", f.Seq, f.Text))
	}
	return strings.Join(words, ",")
}
