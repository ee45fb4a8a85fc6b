package identity

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/issuer"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

var salt = bytes.Repeat([]byte{7}, MinSalt)

// writer is a real one over a journal in a folder of the test.
func writer(t *testing.T) *sequencer.Sequencer {
	t.Helper()
	l, err := file.Open(file.Config{Dir: t.TempDir(), SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	q, err := sequencer.New(sequencer.Config{Log: l})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- q.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		l.Close()
	})
	give(t, q, &engine.Initialise{Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(),
		Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "admin", Roles: engine.RoleAdmin}})
	return q
}

func give(t *testing.T, q *sequencer.Sequencer, c engine.Command) {
	t.Helper()
	got, err := q.Submit(t.Context(), sequencer.Request{Principal: "admin", Command: c})
	if err != nil || got.Decision.Code != engine.OK {
		t.Fatalf("%s: %v %+v", c.Type(), err, got.Decision)
	}
	if err := q.Wait(t.Context(), got.Decision.Seq); err != nil {
		t.Fatal(err)
	}
}

func door(t *testing.T, q *sequencer.Sequencer, p Provider) *Door {
	t.Helper()
	d, err := New(Config{Writer: q, Provider: p, Salt: salt, Groups: map[string]engine.Roles{"t": engine.RoleTrader, "a": engine.RoleAuditor}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// none knows nobody.
type none struct{}

func (none) Bearer(context.Context, string) (issuer.Person, error) {
	return issuer.Person{}, issuer.ErrToken
}

// TestDigest: a pseudonym depends on issuer, subject and salt, on nothing else, and
// no two persons share one.
func TestDigest(t *testing.T) {
	a := issuer.Person{Issuer: "https://a.example", Subject: "1"}
	same := a
	same.Groups, same.Expires = []string{"x"}, time.Now()
	if DigestOf(salt, a) != DigestOf(salt, same) {
		t.Error("groups make another person")
	}
	seen := map[engine.Digest]string{}
	for what, d := range map[string]engine.Digest{
		"a": DigestOf(salt, a), "another subject": DigestOf(salt, issuer.Person{Issuer: a.Issuer, Subject: "2"}),
		"another issuer":           DigestOf(salt, issuer.Person{Issuer: "https://b.example", Subject: "1"}),
		"the boundary between two": DigestOf(salt, issuer.Person{Issuer: a.Issuer + "1", Subject: ""}),
		"another installation":     DigestOf(bytes.Repeat([]byte{8}, MinSalt), a),
	} {
		if was, twice := seen[d]; twice {
			t.Errorf("%s and %s share a pseudonym", what, was)
		}
		seen[d] = what
	}
	if name := nameOf(DigestOf(salt, a)); len(name) != len("person-")+24 || strings.Contains(name, "example") {
		t.Errorf("the name %q", name)
	}
}

// TestAdmit: who comes first is put on record once, whoever else comes; who was shut
// out is not put on record again by coming.
func TestAdmit(t *testing.T) {
	q := writer(t)
	d := door(t, q, none{})
	ana := issuer.Person{Issuer: "https://a.example", Subject: "1", Groups: []string{"t", "x"}, Expires: time.Now().Add(time.Hour)}
	results := make(chan string)
	for range 16 {
		go func() {
			p, err := d.Admit(context.Background(), ana)
			results <- fmt.Sprint(p.Principal, p.Account, p.Roles, err)
		}()
	}
	first := <-results
	for range 15 {
		if got := <-results; got != first {
			t.Errorf("%s, and %s", first, got)
		}
	}
	var accounts int
	q.View(func(s *core.State) {
		for id := engine.AccountID(1); ; id++ {
			if _, there := s.Account(id); !there {
				break
			}
			accounts++
		}
		if keys, _ := s.Keys(0, 10); len(keys) != 2 {
			t.Errorf("on record: %v", keys)
		}
	})
	if accounts != 1 {
		t.Errorf("%d accounts of one person", accounts)
	}
	if _, err := d.Admit(t.Context(), issuer.Person{Issuer: ana.Issuer, Subject: "2", Groups: []string{"x"}}); !errors.Is(err, ErrNoRole) {
		t.Errorf("without a role: %v", err)
	}
	p, err := d.Admit(t.Context(), ana)
	if err != nil || !d.Holds(p, time.Now()) || d.Holds(p, ana.Expires) {
		t.Errorf("a token holds until its time: %v", err)
	}
	give(t, q, &engine.RevokeKey{SHA256: DigestOf(salt, ana)})
	end := q.Durable()
	if _, err := d.Admit(t.Context(), ana); !errors.Is(err, ErrRevoked) || q.Durable() != end {
		t.Errorf("shut out: %v", err)
	}
	if d.Holds(p, time.Now()) {
		t.Error("what is open goes on")
	}
}

// TestEnter: one claim of who asks, in the header, or none.
func TestEnter(t *testing.T) {
	d := door(t, writer(t), none{})
	for what, values := range map[string][]string{
		"nothing": nil, "no scheme": {"abc"}, "another scheme": {"Basic abc"}, "an empty secret": {"Bearer "}, "two headers": {"Bearer a", "Bearer b"},
		"a long secret": {"Bearer " + strings.Repeat("a", maxSecret+1)}, "no token": {"Bearer a.b.c"}, "white space": {"Bearer  a"},
	} {
		r := &http.Request{Method: http.MethodGet, Header: http.Header{"Authorization": values}}
		if _, err := d.Enter(r); !errors.Is(err, ErrNobody) && !errors.Is(err, issuer.ErrToken) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := New(Config{Writer: d.cfg.Writer, Provider: none{}, Salt: salt[:31], Groups: d.cfg.Groups}); err == nil {
		t.Error("a short salt passes")
	}
	if _, err := New(Config{Writer: d.cfg.Writer, Provider: none{}, Salt: salt}); err == nil {
		t.Error("a provider without groups passes")
	}
}

// TestRefusals: each reason has its code, and tells no cause.
func TestRefusals(t *testing.T) {
	for err, code := range map[error]string{
		ErrNobody: problem.Unauthenticated, issuer.ErrToken: problem.Unauthenticated, ErrNoRole: problem.Forbidden, ErrRevoked: problem.Forbidden,
		ErrForged: problem.Forbidden, issuer.ErrAway: problem.NoProvider, sequencer.ErrOverloaded: problem.Overloaded, sequencer.ErrStopped: problem.NotLeader,
		errors.New("a secret reason"): problem.Internal,
	} {
		if e := Refusal(fmt.Errorf("why: %w", err)); e.Code != code || strings.Contains(e.Detail, "secret") {
			t.Errorf("%v: %s %s", err, e.Code, e.Detail)
		}
	}
}

// TestToldGroups: what the provider says of a person is on record before the person
// does anything, the latest word counts whatever older tokens are still about, and a
// name that no market can have is left out.
func TestToldGroups(t *testing.T) {
	q := writer(t)
	d := door(t, q, none{})
	begin := time.Now().Add(-time.Hour)
	told := func(after time.Duration, groups ...string) string {
		t.Helper()
		p, err := d.Admit(t.Context(), issuer.Person{
			Issuer: "https://a.example", Subject: "1", Groups: append([]string{"t"}, groups...), Issued: begin.Add(after), Expires: begin.Add(2 * time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		var g engine.AccountGroups
		q.View(func(s *core.State) { g, _ = s.Groups(p.Account) })
		return strings.Join(g.Told, " ")
	}
	if got := told(time.Minute, "staff", "board", "staff", "a\nb"); got != "board staff t" {
		t.Errorf("at first: %q", got)
	}
	before := q.Durable()
	if told(2*time.Minute, "staff", "board") != "board staff t" || q.Durable() != before {
		t.Error("the same again is a decision")
	}
	if got := told(3 * time.Minute); got != "t" {
		t.Errorf("a newer token: %q", got)
	}
	if got := told(2*time.Minute, "board"); got != "t" {
		t.Errorf("an older token: %q", got)
	}
}
