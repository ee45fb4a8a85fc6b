package resolver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const leagueAddress = "https://api.league.example/v1/matches/fc-17?fields=score,status"

// canned answers one address.
func canned(address, body string) Fetch {
	return func(_ context.Context, got string) ([]byte, error) {
		if got != address {
			return nil, fmt.Errorf("asked for %s", got)
		}
		return []byte(body), nil
	}
}

// TestSourcesAgree takes a result from three kinds of source, of which one says
// otherwise.
func TestSourcesAgree(t *testing.T) {
	a, _ := archive(t, "match.txtar")
	p, q := scene(t, a)
	body := `{"score": {"full_time": [2, 1]}, "status": "finished", "meta": {"updated_at": "2026-11-25T22:04:05Z"}}`
	table := "match_id,home,away,status,corrections,entered_at\nfc-16,0,3,finished,,2026-11-25T21:00:00Z\nfc-17,2,1,finished,,2026-11-25T23:00:00Z\n"
	league, err := p.Endpoint(t.Context(), "league", canned(leagueAddress, body), q.market(), q.Now.UnixMicro())
	if err != nil {
		t.Fatal(err)
	}
	archived, err := p.Table("archive", []byte(table), q.market())
	if err != nil {
		t.Fatal(err)
	}
	byHand := file(t, a, "drawn-by-hand.facts")
	desk, err := p.Manual("desk", byHand)
	if err != nil || !bytes.Equal(desk, byHand) {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ facts, read []byte }{"league": {league, []byte(body)}, "archive": {archived, []byte(table)}} {
		if digest := Digest(sha256.Sum256(c.read)).String(); !bytes.Contains(c.facts, []byte(digest)) {
			t.Errorf("%s does not name the digest of what it read: %s", name, c.facts)
		}
	}
	for i, facts := range [][]byte{league, archived, desk} {
		f, err := p.Evaluate(t.Context(), facts, q.market(), q.Now.UnixMicro())
		if err != nil || !f.Decided || f.Outcome != []string{"home", "home", "draw"}[i] {
			t.Fatalf("%+v, %v", f, err)
		}
		if says := time.Date(2026, 11, 25, 22, 4, 5, 0, time.UTC).UnixMicro(); i == 0 && f.ObservedAt != says {
			t.Errorf("observed at %d, not when the answer says", f.ObservedAt)
		}
	}
}

func TestEndpointRefuses(t *testing.T) {
	a, _ := archive(t, "match.txtar")
	p, q := scene(t, a)
	const good = `{"score": {"full_time": [2, 1]}, "status": "finished", "meta": {"updated_at": "2026-11-25T22:04:05Z"}}`
	for _, c := range []struct{ name, body, want string }{
		{"no object", `[]`, "observed /meta/updated_at"},
		{"no JSON", `<html>`, "no JSON object"},
		{"no time", strings.Replace(good, "2026-11-25T22:04:05Z", "yesterday", 1), "no time of RFC 3339"},
		{"key twice on the way", strings.Replace(good, `"meta":`, `"meta": {"updated_at": "2026-11-25T22:04:05Z"}, "meta":`, 1), "appears twice"},
		{"not UTF-8", strings.Replace(good, "finished", "fin\xffished", 1), "not UTF-8"},
		{"too large", good + strings.Repeat(" ", MaxBodyBytes), "more than"},
		{"a list named by word", strings.Replace(good, `{"full_time": [2, 1]}`, `["x"]`, 1), "is no index"},
	} {
		_, err := p.Endpoint(t.Context(), "league", canned(leagueAddress, c.body), q.market(), q.Now.UnixMicro())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	down := errors.New("down")
	if _, err := p.Endpoint(t.Context(), "league", func(context.Context, string) ([]byte, error) { return nil, down }, q.market(), 0); !errors.Is(err, down) {
		t.Error(err)
	}
	if _, err := p.Endpoint(t.Context(), "desk", canned("", ""), q.market(), 0); err == nil {
		t.Error("a manual source was fetched")
	}
	if _, err := p.Endpoint(t.Context(), "forum", canned("", ""), q.market(), 0); err == nil {
		t.Error("a source that is not there was fetched")
	}
	// An answer without a fact is no error; the finding says what is missing.
	facts, err := p.Endpoint(t.Context(), "league", canned(leagueAddress, strings.Replace(good, "[2, 1]", "[2, null]", 1)), q.market(), q.Now.UnixMicro())
	if err != nil {
		t.Fatal(err)
	}
	if f, err := p.Evaluate(t.Context(), facts, q.market(), q.Now.UnixMicro()); err != nil || f.Decided || f.Reason != "facts: away_goals is missing" {
		t.Errorf("%+v, %v", f, err)
	}
}

// TestParametersStayInTheirPlace: what a market fills in cannot change which
// host or path is asked.
func TestParametersStayInTheirPlace(t *testing.T) {
	a, _ := archive(t, "match.txtar")
	p, _ := scene(t, a)
	for value, want := range map[string]string{
		"a/b": "https://h.example/v1/a%2Fb/x?q=a%2Fb", "a/../b": "", "a?b#c&d=e": "https://h.example/v1/a%3Fb%23c&d=e/x?q=a%3Fb%23c%26d%3De",
		"..": "", ".": "", "": "", " x": "", "ã": "https://h.example/v1/%C3%A3/x?q=%C3%A3",
	} {
		got, err := p.address("https://h.example/v1/{match}/x?q={match}", Market{Params: map[string]string{"match": value}})
		if want == "" && err == nil || want != "" && got != want {
			t.Errorf("%q gives %q, %v; want %q", value, got, err, want)
		}
	}
	if got, err := p.address("https://h.example/{match}", Market{ID: "1"}); err == nil {
		t.Errorf("without the parameter: %s", got)
	}
	if got, err := p.address("https://h.example/{market}", Market{ID: "7"}); err != nil || got != "https://h.example/7" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestTablePicksOneRow(t *testing.T) {
	a, _ := archive(t, "match.txtar")
	p, q := scene(t, a)
	const header = "match_id,home,away,status,corrections,entered_at\n"
	const row = "fc-17,2,1,finished,3,2026-11-25T23:00:00Z\n"
	for _, c := range []struct{ name, file, want string }{
		{"no row", header, "0 rows match"},
		{"two rows", header + row + row, "2 rows match"},
		{"another row", header + strings.Replace(row, "fc-17", "fc-170", 1), "0 rows match"},
		{"no key column", strings.Replace(header, "match_id", "id", 1) + row, `no column "match_id"`},
		{"column twice", "match_id,home,home,status,corrections,entered_at\n" + row, "appears twice"},
		{"ragged", header + "fc-17,2\n", "wrong number of fields"},
		{"ill-typed", header + strings.Replace(row, ",2,", ",two,", 1), "fact home_goals: no int"},
		{"empty", "", "header"},
		{"too large", strings.Repeat("x", MaxTableBytes+1), "more than"},
	} {
		if got, err := p.Table("archive", []byte(c.file), q.market()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s, %v, want %q", c.name, got, err, c.want)
		}
	}
	p.rule.Sources[1].File = "results.ndjson"
	const lines = `{"match_id": "fc-16", "home": 0, "away": 3, "status": "finished", "entered_at": "2026-11-25T21:00:00Z"}

{"match_id": "fc-17", "home": 2, "away": 1, "status": "finished", "entered_at": "2026-11-25T23:00:00Z"}
`
	facts, err := p.Table("archive", []byte(lines), q.market())
	if err != nil {
		t.Fatal(err)
	}
	if f, err := p.Evaluate(t.Context(), facts, q.market(), q.Now.UnixMicro()); err != nil || f.Outcome != "home" {
		t.Errorf("%+v, %v", f, err)
	}
	for file, want := range map[string]string{lines + lines: "2 rows match", lines + "x": "line 4", `{"match_id": "a", "match_id": "fc-17"}`: "appears twice"} {
		if got, err := p.Table("archive", []byte(file), q.market()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s, %v, want %q", got, err, want)
		}
	}
}

func TestManualWantsEvidence(t *testing.T) {
	a, _ := archive(t, "match.txtar")
	p, _ := scene(t, a)
	good := string(file(t, a, "drawn-by-hand.facts"))
	for name, bad := range map[string]string{
		"none":           strings.Replace(good, `"evidence": "https://files.example/report-17.pdf",`, "", 1),
		"relative":       strings.Replace(good, "https://files.example", "", 1),
		"another source": strings.Replace(good, "desk", "league", 1),
		"cut off":        good[:len(good)-3],
		"more after it":  good + "{}",
	} {
		if _, err := p.Manual("desk", []byte(bad)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// server is a TLS server on loopback, and a Fetch that trusts it.
func server(t *testing.T, c FetchConfig, h http.HandlerFunc) (string, Fetch) {
	s := httptest.NewTLSServer(h)
	t.Cleanup(s.Close)
	c.TLS = &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	return s.URL, HTTP(c)
}

func TestFetch(t *testing.T) {
	open := FetchConfig{AllowPrivate: true}
	elsewhere, _ := server(t, open, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "elsewhere") })
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "plain") }))
	defer plain.Close()
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			fmt.Fprint(w, r.Header.Get("User-Agent"))
		case "/near":
			http.Redirect(w, r, "/ok", http.StatusFound)
		case "/far":
			http.Redirect(w, r, elsewhere+"/ok", http.StatusFound)
		case "/down":
			http.Redirect(w, r, "http://"+r.Host+"/ok", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/large":
			w.Write(make([]byte, MaxBodyBytes+1))
		case "/just":
			w.Write(make([]byte, MaxBodyBytes))
		case "/slow":
			<-r.Context().Done()
		default:
			http.NotFound(w, r)
		}
	}
	base, fetch := server(t, FetchConfig{AllowPrivate: true, Timeout: 2 * time.Second}, handler)
	for path, want := range map[string]string{"/ok": "mbp-resolver", "/near": "mbp-resolver", "/just": string(make([]byte, MaxBodyBytes))} {
		if got, err := fetch(t.Context(), base+path); err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
	}
	for path, want := range map[string]string{
		"/far": "another host", "/down": "plain http", "/loop": "too many redirects", "/large": "more than", "/gone": "status 404", "/slow": "",
	} {
		if got, err := fetch(t.Context(), base+path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %d bytes, %v, want %q", path, len(got), err, want)
		}
	}
	for _, address := range []string{plain.URL, "ftp://example.com", "file:///etc/hostname", "::"} {
		if got, err := fetch(t.Context(), address); err == nil {
			t.Errorf("%s: %s", address, got)
		}
	}
	if got, err := HTTP(FetchConfig{AllowHTTP: true, AllowPrivate: true})(t.Context(), plain.URL); err != nil || string(got) != "plain" {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := HTTP(FetchConfig{AllowHTTP: true})(t.Context(), plain.URL); err == nil || !strings.Contains(err.Error(), "no public address") {
		t.Errorf("loopback: %s, %v", got, err)
	}
}
