package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/obs/telemetry"
)

// planted are secrets and personal data as they would leak. None may survive in
// any place of a record. They are made up.
var planted = map[string]string{
	"api key":     "mbp_" + strings.Repeat("aZ09_-x", 6) + "Q",
	"cut api key": "mbp_" + strings.Repeat("k3Y", 9),
	"bearer":      "Bearer eyJhbGciOi.J9-test_value==",
	"basic":       "basic dXNlcjpodW50ZXIy",
	"url":         "postgres://ana:hunter2@db.internal/mbp",
	"assigned":    `{"password": "hunter2", "n": 1}`,
	"query":       "POST /v1/x?api_key=hunter2&page=1",
	"email":       "ana.souza+mbp@exemplo.com.br",
	"intl email":  "joão@correio.example",
	"ipv4":        "203.0.113.77",
	"ipv4 port":   "203.0.113.77:51234",
	"ipv6":        "2001:db8::7a",
	"ipv6 port":   "[2001:db8::7a]:443",
	"mapped":      "::ffff:203.0.113.77",
	"cpf":         "529.982.247-25",
	"bare cpf":    "52998224725",
	"dashed cpf":  "529982247-25",
	"phone":       "+55 11 91234-5678",
}

// leaks are the parts of planted that must never be printed.
var leaks = []string{"aZ09_-x", "k3Yk3Y", "eyJhbGciOi", "dXNlcjpod", "hunter2", "ana.souza", "exemplo.com", "joão", "203.0.113", "2001:db8", "7a", "529.982", "52998", "91234"}

type lazy string

func (l lazy) LogValue() slog.Value {
	return slog.GroupValue(slog.String("inner", string(l)), slog.Any("deeper", lazier(l)))
}

type lazier string

func (l lazier) LogValue() slog.Value { return slog.AnyValue(errors.New("in " + string(l))) }

type stringer string

func (s stringer) String() string { return "is " + string(s) }

type document struct {
	Note string            `json:"note"`
	Many []string          `json:"many"`
	Map  map[string]string `json:"map"`
}

type broken struct{}

func (*broken) Error() string { panic("nil pointer") }

type endless struct{}

func (e endless) LogValue() slog.Value { return slog.AnyValue(e) }

// everywhere logs one text in every place a record has.
func everywhere(l *slog.Logger, s string) {
	l.Info("saw "+s, "text", s, "err", fmt.Errorf("append batch 7: %w", errors.New(s)), "bytes", []byte("x "+s))
	l.With("with", s).WithGroup("group").With("inner", s).Warn("w", "more", s)
	l.Info("g", slog.Group("outer", slog.Group("nested", slog.String("v", s), slog.Any("err", errors.New(s)))))
	l.Info("lazy", "valuer", lazy(s), "stringer", stringer(s))
	l.Info("doc", "doc", document{Note: s, Many: []string{"a", s}, Map: map[string]string{"note": s, s: "as a name"}}, "ptr", &document{Note: s})
	l.Info("named "+s, s, "as an attribute's name")
}

func TestNothingPlantedComesThrough(t *testing.T) {
	for _, asJSON := range []bool{true, false} {
		for name, s := range planted {
			var out bytes.Buffer
			everywhere(telemetry.Logger(&out, nil, asJSON), s)
			if n := strings.Count(out.String(), "\n"); n != 6 {
				t.Fatalf("json=%v %s: %d lines, want 6: %s", asJSON, name, n, out.String())
			}
			for _, leak := range leaks {
				if strings.Contains(strings.ToLower(s), strings.ToLower(leak)) && strings.Contains(out.String(), leak) {
					t.Errorf("json=%v %s: %q came through in\n%s", asJSON, name, leak, out.String())
				}
			}
		}
	}
}

// TestPlantedLeaksWithoutRedaction proves that the search above can find them.
func TestPlantedLeaksWithoutRedaction(t *testing.T) {
	for name, s := range planted {
		var out bytes.Buffer
		everywhere(slog.New(slog.NewTextHandler(&out, nil)), s)
		found := false
		for _, leak := range leaks {
			found = found || strings.Contains(out.String(), leak)
		}
		if !found {
			t.Errorf("%s: no leak is looked for in it", name)
		}
	}
}

func TestSecretNamesMaskAnyValue(t *testing.T) {
	const secret = "harmless looking"
	for _, name := range []string{"authorization", "Authorization", "key", "api_key", "apiKey", "APIKey", "key_file", "token", "access.token", "client-secret", "password", "Set-Cookie", "cpf", "user_email"} {
		var out bytes.Buffer
		l := telemetry.Logger(&out, nil, true)
		l.Info("m", name, secret)
		l.Info("m", slog.Group(name, "value", secret))
		l.Info("m", "req", map[string]any{name: []string{secret}, "deep": map[string]string{name: secret}})
		l.WithGroup(name).With("a", secret).WithGroup("deeper").Info("m", "b", secret)
		l.With(name, secret).Info("m", "headers", http.Header{name: {secret}})
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s: value printed in\n%s", name, out.String())
		}
		if n := strings.Count(out.String(), "[secret]"); n != 8 {
			t.Errorf("%s: %d masks, want 8:\n%s", name, n, out.String())
		}
	}
}

// TestHarmlessTextStays: a log that masks everything says nothing.
func TestHarmlessTextStays(t *testing.T) {
	for _, s := range []string{
		"mbp_markets", "mbp_abuse_events", "acc_1000 bought mkt_1 at 523117 ppm",
		"2026-11-25T02:21:16.123456Z", "took 1m2.5s", "listening on 127.0.0.1:8420", "[::1]:9314", "0.0.0.0:80",
		"52998224724", "amount 12345678901 micros", "11111111111",
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"github.com/mbp-market/mbp@v1.4.0", "go1.26.8", "GET /v1/quotes?market=mkt_1&side=buy", "12:34:56", "std::bad", "",
		"bearer of news", "monkey=1", "999.1.2.3", "token bucket empty",
	} {
		if got := telemetry.Text(s); got != s {
			t.Errorf("%q became %q", s, got)
		}
		var out bytes.Buffer
		telemetry.Logger(&out, nil, true).Info(s, "monkey", s)
		var rec map[string]any
		if err := json.Unmarshal(out.Bytes(), &rec); err != nil || rec["msg"] != s || rec["monkey"] != s {
			t.Errorf("%q logged as %s (%v)", s, out.String(), err)
		}
	}
}

func TestMasksKeepTheContext(t *testing.T) {
	for in, want := range map[string]string{
		"login of ana@exemplo.com failed":                  "login of [email] failed",
		"dial 203.0.113.9:443: refused":                    "dial [ip]:443: refused",
		"peer fe80::1, hop 2001:db8::2.":                   "peer [ip], hop [ip].",
		"Authorization: Bearer abcdefgh.ijk":               "Authorization: [secret] [secret]",
		"open https://u:p@host/x":                          "open https://[secret]@host/x",
		`{"client_secret":"s3","n":1}`:                     `{"client_secret":"[secret]","n":1}`,
		"cpf 529.982.247-25 ok":                            "cpf [cpf] ok",
		"bad\xffana@exemplo.com":                           "bad\uFFFD[email]",
		"key mbp_" + strings.Repeat("x", 43) + " revoked.": "key [secret] revoked.",
	} {
		if got := telemetry.Text(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
		if got := telemetry.Text(want); got != want && !strings.Contains(in, "Authorization") {
			t.Errorf("masking %q again gives %q", want, got)
		}
	}
}

func TestValuesOfOtherKindsStayExact(t *testing.T) {
	var out bytes.Buffer
	at := time.Date(2026, 11, 25, 1, 2, 3, 0, time.UTC)
	telemetry.Logger(&out, slog.LevelDebug, true).Debug("m", "n", int64(9007199254740993), "f", 0.25, "ok", true, "d", time.Second, "t", at,
		"doc", struct{ N int64 }{9007199254740993}, "none", nil, "addr", netip.MustParseAddr("192.0.2.1"))
	for _, want := range []string{`"n":9007199254740993`, `"f":0.25`, `"ok":true`, `"d":1000000000`, `"t":"2026-11-25T01:02:03Z"`, `"doc":{"N":9007199254740993}`, `"none":null`, `"addr":"[ip]"`, `"level":"DEBUG"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
}

func TestUnreadableValuesAreNotPrinted(t *testing.T) {
	var out bytes.Buffer
	loop := map[string]any{}
	loop["self"] = loop
	deep := slog.StringValue("hunter2")
	for range 40 {
		deep = slog.GroupValue(slog.Attr{Key: "g", Value: deep})
	}
	telemetry.Logger(&out, nil, true).Info("m", "nil", (*broken)(nil), "chan", make(chan int), "loop", loop, "endless", endless{}, slog.Any("deep", deep))
	for _, want := range []string{`"nil":"[unreadable]"`, `"chan":"[unreadable]"`, `"loop":"[unreadable]"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("a value below the depth limit was printed: %s", out.String())
	}
}

func TestLevel(t *testing.T) {
	var out bytes.Buffer
	l := telemetry.Logger(&out, slog.LevelWarn, false)
	l.Info("quiet")
	l.Warn("loud")
	if got := out.String(); strings.Contains(got, "quiet") || !strings.Contains(got, "loud") {
		t.Errorf("level not held: %s", got)
	}
}

// FuzzText: masking never fails, and no API key survives whatever surrounds it.
func FuzzText(f *testing.F) {
	for _, s := range planted {
		f.Add(s, s)
	}
	key := "mbp_" + strings.Repeat("Zk9_-w3", 6) + "A"
	f.Fuzz(func(t *testing.T, before, after string) {
		if got := telemetry.Text(before + key + after); strings.Contains(got, key[4:]) {
			t.Errorf("%q keeps the key: %q", before+key+after, got)
		}
	})
}
