package gate

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

const goodRow = `dec_p95_ms,R1,"Time, as clients see it",ms,k6,http_req_duration{kind:dec}.p(95),,<=,800,100,,smoke full,dec,docs/runbooks/dec_slo.md,`

func sheetOf(rows ...string) string {
	return strings.Join(Columns, ",") + "\n" + strings.Join(rows, "\n") + "\n"
}

func TestSheetFromASpreadsheet(t *testing.T) {
	plain, err := ReadSheet(strings.NewReader(sheetOf(goodRow)))
	if err != nil {
		t.Fatal(err)
	}
	dos, err := ReadSheet(strings.NewReader("\xef\xbb\xbf" + strings.ReplaceAll(sheetOf(goodRow), "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	if len(plain.Rows) != 1 || len(dos.Rows) != 1 || plain.Rows[0].Description != dos.Rows[0].Description || plain.SHA256 == dos.SHA256 {
		t.Errorf("plain %+v\nspreadsheet %+v", plain, dos)
	}
}

// TestSheetReportsEveryFault: one reading names all of them, with their lines.
func TestSheetReportsEveryFault(t *testing.T) {
	for _, c := range []struct {
		name, sheet string
		want        []string
	}{
		{"empty", "", []string{"header"}},
		{"no rows", sheetOf()[:len(sheetOf())-1], []string{"no rows"}},
		{"semicolons", strings.ReplaceAll(sheetOf(goodRow), ",", ";"), []string{"not separated by commas", "column kpi_id is missing"}},
		{"columns", strings.Replace(strings.Replace(sheetOf(goodRow), "window", "windows", 1), "watcher", "owner", 1),
			[]string{`unknown column "windows"`, "column owner is doubled", "column window is missing", "column watcher is missing"}},
		{"doubled id", sheetOf(goodRow, goodRow), []string{`line 3: kpi_id "dec_p95_ms" is already on line 2`}},
		{"short row", sheetOf("a,b", goodRow), []string{"line 2: 2 cells under 15 columns"}},
		{"bare quote", sheetOf(`a"b`), []string{`bare "`}},
		{"cells", sheetOf(`Dec P95,1,,,graph,,,=,fast,,,day,,,`),
			[]string{"kpi_id", "requirement", "description is empty", "unit is empty", "owner is empty", `source "graph"`, "query is empty", `op "="`, "threshold", `profile "day"`}},
		{"spaces and controls", sheetOf(strings.Replace(strings.Replace(goodRow, ",ms,", ", ms,", 1), "Time,", "Time\x07", 1)),
			[]string{`unit " ms" has spaces`, `description holds the character '\a'`}},
		{"no profile", sheetOf(strings.Replace(goodRow, "smoke full", "", 1)), []string{"profiles is empty"}},
		{"profile twice", sheetOf(strings.Replace(goodRow, "smoke full", "smoke smoke", 1)), []string{"profile smoke is doubled"}},
		{"not finite", sheetOf(strings.Replace(goodRow, "800", "Inf", 1)), []string{"threshold"}},
		{"too large", sheetOf(strings.Replace(goodRow, "800", "1e999", 1)), []string{"not a finite"}},
		{"hexadecimal", sheetOf(strings.Replace(goodRow, "800", "0x10", 1)), []string{"threshold"}},
		{"k6 query", sheetOf(strings.Replace(goodRow, ".p(95)", "", 1)), []string{"not metric.stat"}},
		{"k6 window", sheetOf(strings.Replace(goodRow, "p(95),,", "p(95),5m,", 1)), []string{`window "5m"`}},
		{"samples", sheetOf(strings.Replace(goodRow, ",100,", ",many,", 1)), []string{"min_samples"}},
		{"samples of one profile", sheetOf(strings.Replace(goodRow, ",100,", ",smoke=5,", 1)), []string{"smoke=N full=N"}},
		{"coverage of k6", sheetOf(strings.Replace(goodRow, ",100,,", ",100,0.9,", 1)), []string{"not scraped"}},
		{"prom", sheetOf(`a,R1,d,u,prom,up,,<=,1,5,1.5,full,o,,`), []string{`window ""`, "what counts them", "min_coverage"}},
		{"file", sheetOf(`a,R1,d,u,file,../x#/a,,<=,1,,,full,o,,`, `b,R1,d,u,file,x#/a?k=v,,<=,1,,,full,o,,`), []string{"line 2", "within the evidence", "line 3", "a filter is"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ReadSheet(strings.NewReader(c.sheet))
			if err == nil {
				t.Fatal("read it")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no word of %q in:\n%v", want, err)
				}
			}
		})
	}
}

func TestSheetIsBounded(t *testing.T) {
	if _, err := ReadSheet(strings.NewReader(strings.Repeat("x", maxSheetBytes+1))); err == nil {
		t.Error("read a sheet of more than the limit")
	}
}

func TestQueries(t *testing.T) {
	sheet, err := ReadSheet(strings.NewReader(sheetOf(goodRow,
		`whole,R1,d,u,prom,a[$window]+b[$window],load,<=,1,7 of c[$window],,full,o,,`,
		`fixed,R1,d,u,prom,a[$window],30s,<=,1,,,full,o,,`,
		`sliced,R1,d,u,prom,a[$window],load/25s,<=,1,,,full,o,,`,
		`never,R1,d,u,prom,a[$window],2m,<=,1,,,full,o,,`)))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 500_000_000, time.UTC)
	load := Window{start, start.Add(60*time.Second + 400*time.Microsecond)}
	want := []Query{
		{Path: "prom/up.json", Expr: "up[60000ms]", At: load.End},
		{Path: "prom/whole.json", Expr: "a[60000ms]+b[60000ms]", At: load.End},
		{Path: "prom/whole.samples.json", Expr: "c[60000ms]", At: load.End},
		{Path: "prom/fixed.json", Expr: "a[30000ms]", At: load.End},
		{Path: "prom/sliced.json", Expr: "a[25000ms]", Start: start.Add(25 * time.Second), End: start.Add(50 * time.Second), Step: 25 * time.Second},
	}
	got := sheet.Queries(load)
	if len(got) != len(want) {
		t.Fatalf("%d queries, want %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("query %d:\n got %+v\nwant %+v", i, got[i], want[i])
		}
	}
}

// FuzzReadSheet: a sheet is read whole and sound, or refused.
func FuzzReadSheet(f *testing.F) {
	f.Add([]byte(sheetOf(goodRow)))
	f.Add([]byte("\xef\xbb\xbf" + sheetOf(`a,R1,d,u,prom,up,load/5m,==,1,smoke=1 full=2 of x,0.5 of mbp rum,full,o,,`)))
	f.Add([]byte(sheetOf(`a,R1,d,u,file,x.json#count:/a~1b?k!=v,,>,1,,,full,o,,`)))
	f.Add([]byte("kpi_id;op\n\"a\"\"b\",\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		sheet, err := ReadSheet(bytes.NewReader(b))
		if err != nil {
			if len(sheet.Rows) > 0 {
				t.Error("rows beside an error")
			}
			return
		}
		seen := map[string]bool{}
		for _, r := range sheet.Rows {
			if seen[r.KPI] || len(r.check()) > 0 {
				t.Errorf("accepted %+v", r)
			}
			seen[r.KPI] = true
		}
		if len(seen) == 0 {
			t.Error("accepted a sheet without rows")
		}
	})
}
