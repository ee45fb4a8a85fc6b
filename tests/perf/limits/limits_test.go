package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/tests/perf/bounds"
)

// TestMain is the command itself where a test starts a part.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "part" {
		main()
	}
	os.Exit(m.Run())
}

// TestEveryMeasureIsTaken runs one short round with every part in its process:
// each limit gets a value, and the exit code says what the limits say.
func TestEveryMeasureIsTaken(t *testing.T) {
	var out, progress bytes.Buffer
	code := run(t.Context(), []string{"--rounds", "1", "--each", "40ms", "--open", "100ms", "--json", "--dir", t.TempDir()}, nil, &out, &progress)
	want := 0 // FAIL outweighs BUSY
	seen := map[string]bool{}
	for _, l := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		var j bounds.Judged
		if err := json.Unmarshal([]byte(l), &j); err != nil {
			t.Fatal(err, l)
		}
		switch j.State {
		case bounds.Fail:
			want = 1
		case bounds.NotRun:
			t.Errorf("%s was not measured", j.Name)
		case bounds.Busy:
			if want == 0 {
				want = 3
			}
		}
		seen[j.Name] = j.Value > 0
	}
	if code != want {
		t.Errorf("exit code %d, want %d\n%s%s", code, want, progress.String(), out.String())
	}
	limits, err := bounds.Read(limitsCSV)
	if err != nil || len(limits) == 0 {
		t.Fatal(err)
	}
	for _, l := range limits {
		if !seen[l.Name] {
			t.Errorf("%s has no value", l.Name)
		}
	}
}

// TestNoSuchPart: a part that is not there is no pass.
func TestNoSuchPart(t *testing.T) {
	if code := run(t.Context(), []string{"part", "nobody", t.TempDir()}, nil, io.Discard, io.Discard); code != 2 {
		t.Errorf("exit code %d", code)
	}
}

// answerOf posts the load's order and returns the members of the answer.
func answerOf(t *testing.T, open func(context.Context, string) (*subject, error), path string) (members []string, size int) {
	t.Helper()
	s, err := open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.end(); err != nil {
			t.Error(err)
		}
	}()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.hello.Address+path, strings.NewReader(body(0, 0)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {"1"}, "Authorization": {"Bearer " + s.hello.Keys[0]}}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusCreated {
		t.Fatal(err, a.Status, string(b))
	}
	var doc any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return membersOf("", doc), len(b)
}

func membersOf(at string, doc any) (out []string) {
	switch x := doc.(type) {
	case map[string]any:
		for name, v := range x {
			out = append(out, membersOf(at+"."+name, v)...)
		}
	case []any:
		for i, v := range x {
			out = append(out, membersOf(fmt.Sprintf("%s[%d]", at, i), v)...)
		}
	default:
		out = append(out, at)
	}
	slices.Sort(out)
	return out
}

// TestBareAnswersAsMuch: the bare handler takes the load's order and answers with
// the members of a decision, in about as many bytes.
func TestBareAnswersAsMuch(t *testing.T) {
	bare, bareSize := answerOf(t, openBare, "/b2")
	full, fullSize := answerOf(t, openFull, orderPath)
	if !slices.Equal(bare, full) {
		t.Errorf("the bare handler answers\n%v\nthe platform\n%v", bare, full)
	}
	if bareSize < fullSize*9/10 || bareSize > fullSize*11/10 {
		t.Errorf("the bare handler answers %d bytes, the platform %d", bareSize, fullSize)
	}
}

// TestOrderRecord: the bare commit writes records as large as an order's.
func TestOrderRecord(t *testing.T) {
	ctx, h, err := openHall(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.end(); err != nil {
			t.Error(err)
		}
	}()
	submit := orders(ctx, h)
	for i := range 2 {
		if err := submit(7, i); err != nil {
			t.Fatal(err)
		}
		got, err := h.q.Decision(h.q.Durable())
		if err != nil || got.Decision.Code != engine.OK {
			t.Fatal(err, got)
		}
		if size := len(got.Decision.Append(nil)); size < orderRecord*9/10 || size > orderRecord*11/10 {
			t.Errorf("a record has %d bytes, the bare one %d", size, orderRecord)
		}
	}
}
