package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/parquet-go/parquet-go"

	"github.com/mbp-market/mbp/cmd/mbp/notary"
	"github.com/mbp-market/mbp/engine/httpapi/identity"
	"github.com/mbp-market/mbp/engine/httpapi/issuer"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/tests/idp"
)

// forms are the ways in which a text may stand in a file.
func forms(mark string) map[string][]byte {
	out := map[string][]byte{
		"text": []byte(mark), "lower case": []byte(strings.ToLower(mark)), "upper case": []byte(strings.ToUpper(mark)),
		"hex": []byte(hex.EncodeToString([]byte(mark))), "HEX": []byte(strings.ToUpper(hex.EncodeToString([]byte(mark)))),
		"a query": []byte(url.QueryEscape(mark)), "a path": []byte(url.PathEscape(mark)),
	}
	var percent, escaped strings.Builder
	var little, big []byte
	for _, b := range []byte(mark) {
		fmt.Fprintf(&percent, "%%%02X", b)
	}
	for _, u := range utf16.Encode([]rune(mark)) {
		little, big = append(little, byte(u), byte(u>>8)), append(big, byte(u>>8), byte(u))
		fmt.Fprintf(&escaped, `\u%04x`, u)
	}
	out["percent"], out["escapes"], out["UTF-16LE"], out["UTF-16BE"] = []byte(percent.String()), []byte(escaped.String()), little, big
	for shift := range 3 { // what a text around it leaves of its base64
		text := base64.StdEncoding.EncodeToString(append(make([]byte, shift), mark...))
		text = strings.TrimRight(text, "=")
		out[fmt.Sprintf("base64 at %d", shift)] = []byte(text[(shift*4+2)/3+shift%2 : len(text)-1])
	}
	return out
}

// rows are the values of a Parquet file, decoded.
func rows(t *testing.T, b []byte) []byte {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r := parquet.NewReader(f)
	defer r.Close()
	for buf := make([]parquet.Row, 16); ; {
		n, err := r.ReadRows(buf)
		for _, row := range buf[:n] {
			for _, v := range row {
				out.WriteString(v.String() + "\x00")
			}
		}
		if err != nil || n == 0 {
			return out.Bytes()
		}
	}
}

// everything is the bytes of every file below some folders, by name; those of Parquet
// files decoded, too.
func everything(t *testing.T, dirs ...string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			out["name of "+path] = []byte(path)
			b, err := os.ReadFile(path)
			if b = bytes.TrimRight(b, "\x00"); err == nil {
				out[path] = b
				if strings.HasSuffix(path, ".parquet") {
					out[path+", decoded"] = rows(t, b)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// found says where marks are, and in which form.
func found(all map[string][]byte, marks ...string) (where []string) {
	for _, mark := range marks {
		for form, want := range forms(mark) {
			for name, b := range all {
				if bytes.Contains(b, want) {
					where = append(where, fmt.Sprintf("%q as %s in %s", mark, form, name))
				}
			}
		}
	}
	slices.Sort(where)
	return where
}

// TestForms: the search finds what it looks for, whatever it is wrapped in.
func TestForms(t *testing.T) {
	const mark = "ximena.quetzal"
	for name, text := range map[string]string{
		"base64": base64.StdEncoding.EncodeToString([]byte("is " + mark + " here")), "another": base64.StdEncoding.EncodeToString([]byte("it " + mark)),
		"a third": base64.URLEncoding.EncodeToString([]byte("who: " + mark + "?")), "a query": url.QueryEscape("a b" + mark), "hex": hex.EncodeToString([]byte("x" + mark)),
	} {
		if len(found(map[string][]byte{name: []byte(text)}, mark)) == 0 {
			t.Errorf("%s: %s is not found in %s", name, mark, text)
		}
	}
}

// log is what a server writes, for who looks meanwhile.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.b.Bytes())
}

// house is a real server for one test, with everything that it told.
type house struct {
	t          *testing.T
	cfg        Config
	url        string
	out, log   *log
	told       *log // answers that the house keeps: exports, metrics, decisions
	signals    chan os.Signal
	done       chan error
	idempotent int
}

// openHouse runs `mbp serve` on a folder.
func openHouse(t *testing.T, cfg Config) *house {
	t.Helper()
	h := &house{t: t, cfg: cfg, out: &log{}, log: &log{}, told: &log{}, signals: make(chan os.Signal, 2), done: make(chan error, 1)}
	go func() { h.done <- serve(t.Context(), cfg, h.signals, h.out, h.log) }()
	waitFor(t, "the server", func() bool { return bytes.Contains(h.out.Bytes(), []byte("\n")) })
	h.url = strings.Fields(string(h.out.Bytes()))[2]
	waitFor(t, "a server that is ready", func() bool {
		res, err := http.Get(h.url + "/readyz")
		return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
	})
	return h
}

func (h *house) close() {
	h.t.Helper()
	h.signals <- os.Interrupt
	if err := <-h.done; err != nil {
		h.t.Fatal(err)
	}
}

// ask makes a request; headers are name, value, ….
func (h *house) ask(method, path, token, body string, headers ...string) (int, string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	h.idempotent++
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprintf("k%d", h.idempotent))
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// must is ask that has to be answered with a status.
func (h *house) must(status int, method, path, token, body string, headers ...string) string {
	h.t.Helper()
	got, answer := h.ask(method, path, token, body, headers...)
	if got != status {
		h.t.Fatalf("%s %s: %d %s", method, path, got, answer)
	}
	return answer
}

// keep asks for what the house keeps of its answers.
func (h *house) keep(token string, paths ...string) {
	h.t.Helper()
	for _, path := range paths {
		b := []byte(h.must(http.StatusOK, http.MethodGet, path, token, ""))
		if strings.HasSuffix(path, "format=parquet") {
			b = rows(h.t, b)
		}
		_, _ = h.told.Write(b)
	}
}

// The person of TestErasedPersonIsNowhere, and what it writes.
const (
	herSubject = "auth0|7f3a-quetzal"
	herMail    = "ximena.quetzal@example.org"
	herName    = "Ximena Quetzalli"
	herNumber  = "529.982.247-25"
	herNote    = "The wombat told me so"
	herWords   = "Only a quokka counts"
	onHer      = "Ms. Numbat of the fifth floor"
	herGroup   = "tapir-watch"
)

// everyText sends her address and number in every member that takes a text, and in
// what else a request has.
func (h *house) everyText(token string) {
	h.t.Helper()
	const digest = `"abababababababababababababababababababababababababababababababab"`
	text := fmt.Sprintf("%q", "for "+herMail+" of "+herNumber)
	uri := fmt.Sprintf(`"evidence_uri":"https://example.org/%s","evidence_sha256":%s`, herMail, digest)
	for path, body := range map[string]string{
		"/v1/markets":                          `{"template":"binary@1.0.0","title":` + text + `,"creator":"acc_1","liquidity_micros":10000000,"price_micros":500000}`,
		"/v1/markets/mkt_1/clarifications":     `{"text":` + text + `}`,
		"/v1/decisions/3/notes":                `{"text":` + text + `}`,
		"/v1/markets/mkt_1/cancel":             `{"kind":"price",` + uri + `}`,
		"/v1/markets/mkt_1/resolution":         `{"outcome":"YES",` + uri + `}`,
		"/v1/markets/mkt_1/resolution/dispute": `{` + uri + `}`,
		"/v1/moderation":                       `{"action":"freeze","account":"acc_1",` + uri + `}`,
		"/v1/mode":                             `{"mode":"lite","reason":` + text + `}`,
		"/v1/deadlines":                        `{"held":true,"reason":` + text + `}`,
	} {
		if status, answer := h.ask(http.MethodPost, path, token, body); status != http.StatusUnprocessableEntity || !strings.Contains(answer, "pii_suspected") || strings.Contains(answer, herMail) {
			h.t.Errorf("%s: %d %s", path, status, answer)
		}
	}
	mark := url.QueryEscape(herMail)
	for _, path := range []string{"/v1/markets?after=" + mark, "/v1/markets/" + mark, "/" + mark, "/v1/accounts/" + mark + "?" + mark} {
		h.ask(http.MethodGet, path, token, "")
	}
	h.ask(http.MethodPost, "/v1/orders", token, `{"`+herMail+`":`+text+`}`, "Idempotency-Key", herMail)
	h.ask(http.MethodPost, "/v1/accounts", token, `{}`, "Idempotency-Key", herMail, "User-Agent", herName, "Referer", "https://example.org/"+mark, "X-Forwarded-For", "203.0.113.77", "From", herMail)
	h.ask(http.MethodGet, "/v1/me", herMail, "")
	h.ask(http.MethodGet, "/v1/me", token+herMail, "")
}

// TestErasedPersonIsNowhere: a person of the identity provider acts through every
// route that takes text, is written about, and is erased. Then no byte of what the
// house keeps has any of it, in any form, nor the keyed digest of who she is: data
// folder, journal, archive, snapshots, lake, audit tree, logs, metrics, exports. Replay
// and fsck hold, and the audit tree continues the checkpoint that was signed before.
func TestErasedPersonIsNowhere(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs a server twice and reads all that it keeps")
	}
	p, data, archive, spare := idp.Start(t), filepath.Join(t.TempDir(), "data"), t.TempDir(), t.TempDir()
	archived(t, data, archive)
	cfg := defaultConfig()
	cfg.Listen, cfg.Data, cfg.Archive, cfg.DbtResults = "127.0.0.1:0", data, archive, ""
	cfg.CDCFlush, cfg.AuditEvery, cfg.LogLevel, cfg.LogFormat = 10*time.Millisecond, 50*time.Millisecond, "debug", "json"
	cfg.OIDCIssuer, cfg.OIDCAudience, cfg.OIDCRoles = p.URL, "mbp", "staff=trader+operator+moderator+resolver"
	h := openHouse(t, cfg)
	secret, err := os.ReadFile(filepath.Join(data, "admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	admin := strings.TrimSpace(string(secret))
	said := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if err := run(t.Context(), args, &out, &out); err != nil {
			t.Fatalf("mbp %s: %v\n%s", strings.Join(args, " "), err, out.String())
		}
		return out.String()
	}

	// She acts, and somebody writes about her.
	h.must(http.StatusCreated, http.MethodPost, "/v1/accounts/acc_1/grants", admin, `{"amount_micros":1000000000}`)
	h.must(http.StatusCreated, http.MethodPost, "/v1/markets", admin, `{"template":"binary@1.0.0","title":"Does it snow in Quixeramobim?","creator":"acc_1","liquidity_micros":100000000,"price_micros":500000}`)
	her := p.Token(p.Standard("mbp", herSubject, time.Now(), "staff").With("email", herMail, "name", herName, "preferred_username", "xquetzalli"))
	me := h.must(http.StatusOK, http.MethodGet, "/v1/me", her, "")
	_, account, _ := strings.Cut(me, `"account":"`)
	account, _, _ = strings.Cut(account, `"`)
	h.must(http.StatusCreated, http.MethodPost, "/v1/accounts/"+account+"/grants", admin, `{"amount_micros":50000000}`)
	h.must(http.StatusCreated, http.MethodPost, "/v1/orders", her, `{"market":"mkt_1","outcome":"YES","side":"buy","tif":"ioc","amount_micros":5000000}`)
	h.must(http.StatusCreated, http.MethodPost, "/v1/orders", her, `{"market":"mkt_1","outcome":"NO","side":"buy","tif":"gtc","shares_micros":1000000,"limit_price_micros":100000}`)
	h.must(http.StatusCreated, http.MethodPost, "/v1/markets/mkt_1/clarifications", her, `{"text":"`+herWords+`, says `+herName+`."}`)
	h.must(http.StatusCreated, http.MethodPost, "/v1/markets/mkt_1/clarifications", her, `{"text":"Ask `+herMail+` or `+herNumber+`."}`, "Allow-Personal-Data", "true")
	h.must(http.StatusCreated, http.MethodPost, "/v1/decisions/3/notes", her, `{"text":"`+herNote+`."}`)
	limited := h.must(http.StatusCreated, http.MethodPost, "/v1/moderation", admin, `{"action":"limit","account":"`+account+`","until":"2099-01-01T00:00:00Z","evidence_uri":"https://example.org/x","evidence_sha256":"`+strings.Repeat("ab", 32)+`"}`)
	_, seq, _ := strings.Cut(limited, `"seq":`)
	seq, _, _ = strings.Cut(seq, ",")
	h.must(http.StatusCreated, http.MethodPost, "/v1/decisions/"+seq+"/notes", admin, `{"text":"`+onHer+`."}`)
	h.must(http.StatusCreated, http.MethodPost, "/v1/accounts/"+account+"/groups", admin, `{"groups":["`+herGroup+`"]}`)
	h.everyText(her)
	if held := h.must(http.StatusOK, http.MethodGet, "/v1/accounts/"+account+"/personal-data", her, ""); !strings.Contains(held, herNote) || strings.Contains(held, onHer) {
		t.Errorf("what she is shown: %s", held)
	}

	// A checkpoint covers all of that, and the lake has it.
	checkpoint := filepath.Join(spare, "checkpoint")
	last := h.must(http.StatusOK, http.MethodGet, "/v1/me", admin, "")
	_, last, _ = strings.Cut(last, `"seq":`)
	last, _, _ = strings.Cut(last, ",")
	waitFor(t, "a checkpoint", func() bool {
		status, _ := h.ask(http.MethodGet, "/v1/audit/proof/"+last, admin, "")
		return status == http.StatusOK
	})
	if err := os.WriteFile(checkpoint, []byte(said("audit", "checkpoint", "--data", data)), 0o600); err != nil {
		t.Fatal(err)
	}
	h.keep(admin, "/v1/exports/decisions?format=csv", "/v1/exports/trades?format=parquet")
	marks := []string{herSubject, herMail, herName, herNumber, herNote, herWords, onHer, "quetzal"}
	if before := found(everything(t, data), marks...); len(before) < 6 {
		t.Fatalf("the search finds too little before: %s", strings.Join(before, "\n"))
	}

	// She is erased, by the command that a person types.
	t.Setenv("MBP_KEY_FILE", filepath.Join(data, "admin.key"))
	said("privacy", "erase", account, "--sure", account, "--url", h.url)
	h.keep(admin, "/v1/accounts/"+account+"/personal-data", "/v1/decisions?limit=1000", "/v1/decisions/"+seq+"/notes", "/v1/markets/mkt_1",
		"/v1/exports/decisions?format=parquet", "/v1/exports/decisions?format=csv", "/v1/exports/trades?format=csv", "/v1/keys", "/metrics")
	h.must(http.StatusUnprocessableEntity, http.MethodPost, "/v1/markets/mkt_1/clarifications", admin, `{"text":"`+herMail+`"}`)
	if groups := h.must(http.StatusOK, http.MethodGet, "/v1/accounts/"+account+"/groups", admin, ""); strings.Contains(groups, herGroup) || strings.Contains(groups, "staff") {
		t.Errorf("she is in groups still: %s", groups)
	}
	h.close()
	said("snapshot", "--data", data, "--archive", archive)
	release(t, data, archive)

	// Nothing is left, and everything holds.
	all := everything(t, data, archive)
	all["log"], all["stdout"], all["answers"] = h.log.Bytes(), h.out.Bytes(), h.told.Bytes()
	if control := found(all, "Quixeramobim", account); len(control) < 6 {
		t.Fatalf("the search finds too little of what is kept: %s", strings.Join(control, "\n"))
	}
	salt, err := personSalt(filepath.Join(data, personSaltFile), true)
	if err != nil {
		t.Fatal(err)
	}
	index := identity.DigestOf(salt, issuer.Person{Issuer: p.URL, Subject: herSubject})
	marks = append(marks, "xquetzalli", "203.0.113.77", string(index[:]), index.String(), base64.StdEncoding.EncodeToString(index[:])[:42])
	for _, where := range found(all, marks...) {
		t.Error(where)
	}
	said("fsck", "--data", data, "--archive", archive)
	forgotten(t, all)
	said("replay", "--data", data, "--archive", archive, "--verify")
	said("audit", "consistency", checkpoint, "--data", data, "--archive", archive)

	// Who comes again is somebody new.
	h = openHouse(t, cfg)
	defer h.close()
	again := h.must(http.StatusOK, http.MethodGet, "/v1/me", p.Token(p.Standard("mbp", herSubject, time.Now(), "staff")), "")
	if strings.Contains(again, account+`"`) {
		t.Errorf("she has her account again: %s", again)
	}
}

// forgotten looks for the name of her group in the states that are kept: the journal has
// it, under the pseudonym of her account (ADR-011), and nothing else does.
func forgotten(t *testing.T, all map[string][]byte) {
	t.Helper()
	states := map[string][]byte{}
	for name, b := range all {
		if strings.HasPrefix(filepath.Base(name), "snapshot-") {
			states[name] = b
		}
	}
	if len(found(states, "Quixeramobim")) == 0 {
		t.Fatalf("of %d states none has what is kept", len(states))
	}
	for _, where := range found(states, herGroup) {
		t.Error(where)
	}
}

// release moves all segments of a stopped server's journal into its archive but the
// last.
func release(t *testing.T, data, archive string) {
	t.Helper()
	l, err := file.Open(file.Config{Dir: notary.Journal(data), Archive: archive, SegmentSize: 12 << 10})
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if err := l.Release(l.Next()); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
