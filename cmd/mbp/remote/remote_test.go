package remote

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/cmd/mbp/exit"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// TestEveryHintIsForACode: a hint for a code that nobody sends helps nobody.
func TestEveryHintIsForACode(t *testing.T) {
	b, err := os.ReadFile("../../../engine/httpapi/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for code := range hints {
		if !strings.Contains(string(b), "\n  "+code+": ") {
			t.Errorf("%s is no code of the API", code)
		}
	}
	for _, code := range engine.Codes() {
		switch code {
		case engine.OK, engine.InvalidCommand, engine.KeyNotFound: // their details say all there is to do
		default:
			if hints[code.String()] == "" {
				t.Errorf("nothing says what to do about %s", code)
			}
		}
	}
}

// TestReadDocument: what is not one whole document is refused as bad usage, in
// words that name the file and the fault.
func TestReadDocument(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.json")
	const good = `{"version":"1.2.0","order_burst":7}`
	for _, c := range [][2]string{
		{good, ""},
		{good + strings.Repeat(" ", maxDocument-len(good)), ""},
		{good + strings.Repeat(" ", maxDocument-len(good)+1), "policy.json has more than 65536 bytes"},
		{good + good, "policy.json goes on after its document"},
		{good + "}", "policy.json goes on after its document"},
		{`{"versions":"1.2.0"}`, `unknown field "versions"`},
		{good[:10], "unexpected EOF"},
		{"", "policy.json: EOF"},
	} {
		if err := os.WriteFile(file, []byte(c[0]), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadDocument[engine.Policy](file)
		if c[1] == "" {
			if err != nil || got.Version != "1.2.0" || got.OrderBurst != 7 {
				t.Errorf("%+v, %v", got, err)
			}
			continue
		}
		var e exit.Error
		if !errors.As(err, &e) || e.Code != exit.Usage || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%v, want %s", err, c[1])
		}
	}
}

// TestCompletionIsQuick: without a server the shell gets an answer, not an error.
func TestCompletionIsQuick(t *testing.T) {
	t.Setenv("MBP_URL", "http://127.0.0.1:1")
	t.Setenv("MBP_KEY", "mbp_"+strings.Repeat("A", 43))
	c := &Connection{}
	for _, by := range []completion{c.markets, c.outcomes, c.orders} {
		if got := by(t.Context(), []string{"mkt_1"}); len(got) != 0 {
			t.Errorf("%v", got)
		}
	}
}

// TestRefusalsAreShown: a summary of refusals has no events; it is its command
// that tells.
func TestRefusalsAreShown(t *testing.T) {
	d := engine.Decision{Seq: 7, Request: engine.Request{At: 5, Principal: engine.System, Command: &engine.NoteRefusals{From: 1, Until: 2, Refusals: []engine.Refusal{
		{Reason: "unauthenticated", Count: 4}, {Principal: engine.OtherPrincipals, Reason: "malformed", Count: 3}, {Principal: "ana", Reason: "forbidden", Count: 2},
	}}}}
	b, err := json.Marshal(&d)
	if err != nil {
		t.Fatal(err)
	}
	var got client.Decision
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	showDecision(&out, &got)
	for _, want := range []string{"decision 7 ok note_refusals\n", "who has no valid key was refused 4 times with unauthenticated", "everybody else was refused 3 times", "ana was refused 2 times"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "nothing") {
		t.Error(out.String())
	}
}

// TestGrantsAreShown: what a schedule grants is told in sums, not account by account.
func TestGrantsAreShown(t *testing.T) {
	d := engine.Decision{Seq: 7, Request: engine.Request{At: 5, Principal: engine.System, Command: &engine.PayGrants{Name: "daily"}}, Events: []engine.Event{
		&engine.GrantsBegun{Name: "daily", Period: 5}, &engine.GrantsBegun{Name: "daily", Period: 5, Last: 4},
		&engine.GrantsPaid{Name: "daily", Period: 5, Grants: []engine.Payout{{Account: 2, Credits: 1_500_000}}},
		&engine.GrantsPaid{Name: "daily", Period: 5, Grants: []engine.Payout{{Account: 2, Credits: 1_500_000}, {Account: 3, Credits: 500_000}}},
		&engine.GrantsPaid{Name: "daily", Period: 5, Grants: []engine.Payout{}}, &engine.GrantScheduleEnded{Name: "daily"},
	}}
	b, err := json.Marshal(&d)
	if err != nil {
		t.Fatal(err)
	}
	var got client.Decision
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	showDecision(&out, &got)
	for _, want := range []string{
		"and there is no account\n", "to accounts up to acc_4\n", "granted 1.5 credits to acc_2 for the period from 1970", "granted 2 credits to 2 accounts",
		"granted 0 credits to 0 accounts", "schedule daily grants nothing any more",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}
