package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
)

// exporter takes the place of the data plane: it writes what it was asked for.
func exporter(ctx context.Context, w io.Writer, q ExportQuery) error {
	_, err := fmt.Fprintf(w, "%+v\n", q)
	return errors.Join(err, ctx.Err())
}

func withExport(x Export) options { return options{cfg: func(c *Config) { c.Export = x }} }

// TestExportQueries: what is asked for reaches the writer, and nothing else does.
func TestExportQueries(t *testing.T) {
	e := start(t, withExport(exporter))
	e.funded(1)
	c := openContract(t)
	route := route{method: http.MethodGet, path: "/v1/exports/{table}"}
	for query, want := range map[string]string{
		"trades":                           "{Table:trades Format:csv First:0 Last:3 From:1970-01-01T00:00:00.000000Z Until:1970-01-01T00:00:00.000000Z}",
		"decisions?format=parquet&first=2": "{Table:decisions Format:parquet First:2 Last:3 From:1970-01-01T00:00:00.000000Z Until:1970-01-01T00:00:00.000000Z}",
		"decisions?last=2&from=2024-01-01T00:00:00Z&until=2024-01-01T00:00:00.5Z": "{Table:decisions Format:csv First:0 Last:2 From:2024-01-01T00:00:00.000000Z Until:2024-01-01T00:00:00.500000Z}",
		"positions": "{Table:positions Format:csv First:0 Last:3 From:1970-01-01T00:00:00.000000Z Until:1970-01-01T00:00:00.000000Z}",
	} {
		r := e.get("/v1/exports/"+query, e.admin)
		if c.check(route, r); r.status != http.StatusOK || r.body != want+"\n" || r.header.Get("Content-Disposition") == "" {
			t.Errorf("%s: %d %s", query, r.status, r.body)
		}
	}
	for query, code := range map[string]string{
		"accounts": problem.NotFound, "trades?format=xls": problem.Malformed, "trades?last=4": problem.Behind, "trades?first=3&last=2": engine.InvalidCommand.String(),
		"trades?first=0": problem.Malformed, "trades?from=2024-01-01T00:00:00Z&until=2023-01-01T00:00:00Z": engine.InvalidCommand.String(),
		"positions?last=2": engine.InvalidCommand.String(), "positions?from=2024-01-01T00:00:00Z": engine.InvalidCommand.String(), "trades?min_seq=1": problem.Malformed,
	} {
		r := e.get("/v1/exports/"+query, e.admin)
		if c.check(route, r); r.code(t) != code {
			t.Errorf("%s: %d %s", query, r.status, r.body)
		}
	}
	e.api.cfg.Export = nil
	if r := e.get("/v1/exports/trades", e.admin); r.code(t) != problem.NotFound {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestExportsEndWell: an error before the first byte has its status, one after it
// breaks the connection; only so many are written at once.
func TestExportsEndWell(t *testing.T) {
	var long string
	fail := errors.New("the disk is gone")
	e := start(t, withExport(func(_ context.Context, w io.Writer, _ ExportQuery) error {
		_, err := io.WriteString(w, long)
		return errors.Join(err, fail)
	}))
	if r := e.get("/v1/exports/trades", e.admin); r.status != http.StatusInternalServerError || r.header.Get("Content-Disposition") != "" {
		t.Errorf("%d %s", r.status, r.body)
	}
	long = strings.Repeat("x", 1<<20)
	req, err := http.NewRequest(http.MethodGet, e.url+"/v1/exports/trades", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+e.admin)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if n, err := io.Copy(io.Discard, res.Body); res.StatusCode != http.StatusOK || err == nil {
		t.Errorf("%d, %d bytes and then %v", res.StatusCode, n, err)
	}
	for range maxExports {
		e.api.exporting <- struct{}{}
	}
	if r := e.get("/v1/exports/trades", e.admin); r.code(t) != problem.TooMany {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// TestClientExports: the Go client hands the file over as it comes, and a refusal as
// the problem that it is.
func TestClientExports(t *testing.T) {
	e := start(t, withExport(exporter))
	var b strings.Builder
	x := client.Export{Table: "trades", Format: "parquet", First: 1, Last: 1, From: 1, Until: 2_000_000}
	if err := e.as(e.admin).Export(t.Context(), &b, x); err != nil || !strings.Contains(b.String(), "Format:parquet First:1 Last:1 From:1970-01-01T00:00:00.000001Z Until:1970-01-01T00:00:02.000000Z") {
		t.Errorf("%v %s", err, &b)
	}
	if err := e.as(e.key("ana", engine.RoleModerator, 0)).Export(t.Context(), &b, x); client.CodeOf(err) != problem.Forbidden {
		t.Error(err)
	}
}
