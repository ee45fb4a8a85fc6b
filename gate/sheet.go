package gate

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Columns are the sheet's columns, in this order.
var Columns = []string{"kpi_id", "requirement", "description", "unit", "source", "query", "window", "op", "threshold",
	"min_samples", "min_coverage", "profiles", "owner", "runbook", "watcher"}

// The sources a row can read.
const (
	SourceK6   = "k6"   // query is metric.stat of k6/summary.json: http_req_duration{kind:dec}.p(95)
	SourceProm = "prom" // query is PromQL; $window stands for the row's window
	SourceFile = "file" // query is path#/json/pointer, or path#count:/json/pointer[?key=a,b|?key!=a,b]
	SourceStep = "step" // query is a stage; 1 if it was OK
)

// Row is one criterion. It holds iff its value is finite and "value Op
// Threshold" is true, on enough samples and scrapes.
type Row struct {
	KPI         string // unique; also the name of its files under prom/
	Requirement string // R1..R99
	Description string
	Unit        string
	Source      string
	Query       string
	// Window is, for prom, "load" (one value over the load window, asked at its
	// end), a Prometheus duration such as 5m (one value over the last 5m of the
	// load; NOT_EVALUABLE if the load was shorter), or load/5m (one value for
	// every whole 5m slice; the worst one counts; a shorter load is one slice).
	// Other sources leave it empty or say "load" or "run".
	Window    string
	Op        string // <=, <, >=, >, ==
	Threshold string // a decimal number
	// MinSamples is empty or "N [of QUERY]" or "smoke=N full=N [of QUERY]":
	// fewer samples are NO_DATA. QUERY counts the samples in the language of the
	// row's source and is a must for prom; k6 counts its metric and file needs
	// a QUERY too.
	MinSamples string
	// MinCoverage is empty or "X [of JOB ...]", 0 < X <= 1, for prom only: the
	// share of expected scrapes that are there with up = 1 over the load
	// window, for each of these jobs, or for every job of prometheus.yml.
	MinCoverage string
	Profiles    []string // where the row blocks; elsewhere it is only recorded
	Owner       string
	Runbook     string
	Watcher     string
}

// Blocks reports whether the row decides anything in the profile.
func (r Row) Blocks(profile string) bool { return slices.Contains(r.Profiles, profile) }

// Sheet is the list of criteria.
type Sheet struct {
	Rows   []Row
	SHA256 string // of the bytes it was read from, hex
}

// Limits of a sheet: a hundred rows are usual; more than these is not a sheet.
const (
	maxSheetBytes = 1 << 20
	maxSheetRows  = 1000
)

// ReadSheet reads the sheet and reports all its faults at once: unknown,
// missing or doubled columns, doubled ids, and every cell it cannot understand.
// A byte order mark and CRLF line ends, as spreadsheets write them, are fine.
func ReadSheet(r io.Reader) (Sheet, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxSheetBytes+1))
	if err != nil {
		return Sheet{}, fmt.Errorf("read sheet: %w", err)
	}
	if len(raw) > maxSheetBytes {
		return Sheet{}, fmt.Errorf("read sheet: more than %d bytes", maxSheetBytes)
	}
	sum := sha256.Sum256(raw)
	sheet := Sheet{SHA256: hex.EncodeToString(sum[:])}
	c := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))))
	c.FieldsPerRecord = -1
	header, err := c.Read()
	if err != nil {
		return Sheet{}, fmt.Errorf("read sheet: header: %w", err)
	}
	place, faults := placeColumns(header)
	seen := map[string]int{}
	for {
		rec, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil { // after a quoting fault the rest is guesswork
			faults = append(faults, err)
			break
		}
		line, _ := c.FieldPos(0)
		if len(rec) != len(header) {
			faults = append(faults, fmt.Errorf("line %d: %d cells under %d columns", line, len(rec), len(header)))
			continue
		}
		if len(sheet.Rows) == maxSheetRows {
			faults = append(faults, fmt.Errorf("line %d: more than %d rows", line, maxSheetRows))
			break
		}
		row, errs := readRow(rec, place)
		for _, e := range errs {
			faults = append(faults, fmt.Errorf("line %d: %s: %w", line, row.KPI, e))
		}
		if first, twice := seen[row.KPI]; twice {
			faults = append(faults, fmt.Errorf("line %d: kpi_id %q is already on line %d", line, row.KPI, first))
		}
		seen[row.KPI] = line
		sheet.Rows = append(sheet.Rows, row)
	}
	if len(sheet.Rows) == 0 && len(faults) == 0 {
		faults = append(faults, errors.New("no rows: a gate without criteria passes nothing"))
	}
	if len(faults) > 0 {
		return Sheet{}, fmt.Errorf("sheet: %w", errors.Join(faults...))
	}
	return sheet, nil
}

// placeColumns maps each known column to its place in the header.
func placeColumns(header []string) (map[string]int, []error) {
	place := map[string]int{}
	var faults []error
	if len(header) == 1 && strings.ContainsAny(header[0], ";\t") {
		faults = append(faults, errors.New("header: cells are not separated by commas"))
	}
	for i, name := range header {
		if !slices.Contains(Columns, name) {
			faults = append(faults, fmt.Errorf("header: unknown column %q", name))
		} else if _, twice := place[name]; twice {
			faults = append(faults, fmt.Errorf("header: column %s is doubled", name))
		}
		place[name] = i
	}
	for _, name := range Columns {
		if _, ok := place[name]; !ok {
			faults = append(faults, fmt.Errorf("header: column %s is missing", name))
		}
	}
	return place, faults
}

// readRow takes one record apart; it goes on after a fault to find them all.
func readRow(rec []string, place map[string]int) (Row, []error) {
	var faults []error
	cell := func(name string) string {
		i, ok := place[name]
		if !ok {
			return ""
		}
		s := rec[i]
		if s != strings.TrimSpace(s) {
			faults = append(faults, fmt.Errorf("%s %q has spaces around it", name, s))
		}
		for _, r := range s {
			if r < ' ' || r == 0x7f || r == '\ufffd' {
				faults = append(faults, fmt.Errorf("%s holds the character %q", name, r))
				break
			}
		}
		return s
	}
	r := Row{KPI: cell("kpi_id"), Requirement: cell("requirement"), Description: cell("description"), Unit: cell("unit"),
		Source: cell("source"), Query: cell("query"), Window: cell("window"), Op: cell("op"), Threshold: cell("threshold"),
		MinSamples: cell("min_samples"), MinCoverage: cell("min_coverage"), Profiles: strings.Fields(cell("profiles")),
		Owner: cell("owner"), Runbook: cell("runbook"), Watcher: cell("watcher")}
	return r, append(faults, r.check()...)
}

var (
	kpiName     = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)
	requirement = regexp.MustCompile(`^R[1-9][0-9]?$`)
	promTime    = regexp.MustCompile(`^[1-9][0-9]{0,4}[smhd]$`)
)

// check returns every fault of the row.
func (r Row) check() []error {
	var faults []error
	want := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	want(kpiName.MatchString(r.KPI), "kpi_id %q is not a name like dec_p95_ms", r.KPI)
	want(requirement.MatchString(r.Requirement), "requirement %q is not like R1", r.Requirement)
	want(r.Description != "", "description is empty")
	want(r.Unit != "", "unit is empty")
	want(r.Owner != "", "owner is empty")
	want(slices.Contains([]string{SourceK6, SourceProm, SourceFile, SourceStep}, r.Source), "source %q is none of k6, prom, file, step", r.Source)
	want(r.Query != "", "query is empty")
	_, known := ops[r.Op]
	want(known, "op %q is none of <=, <, >=, >, ==", r.Op)
	if _, err := number(r.Threshold); err != nil {
		want(false, "threshold %w", err)
	}
	want(len(r.Profiles) > 0, "profiles is empty: the row would block nowhere")
	for i, p := range r.Profiles {
		want(p == Smoke || p == Full, "profile %q is neither smoke nor full", p)
		want(!slices.Contains(r.Profiles[:i], p), "profile %s is doubled", p)
	}
	for _, f := range []error{r.checkWindow(), r.checkQuery()} {
		if f != nil {
			faults = append(faults, f)
		}
	}
	if _, _, err := r.samples(Smoke); err != nil {
		faults = append(faults, err)
	}
	if _, _, err := r.coverage(); err != nil {
		faults = append(faults, err)
	}
	return faults
}

func (r Row) checkWindow() error {
	if r.Source != SourceProm {
		if r.Window != "" && r.Window != "load" && r.Window != "run" {
			return fmt.Errorf("window %q: a %s row has none, or load, or run", r.Window, r.Source)
		}
		return nil
	}
	slice := strings.TrimPrefix(r.Window, "load/")
	if r.Window != "load" && !promTime.MatchString(slice) {
		return fmt.Errorf("window %q is neither load, nor a duration, nor load/ and a duration", r.Window)
	}
	return nil
}

func (r Row) checkQuery() error {
	switch r.Source {
	case SourceK6:
		if _, _, err := splitMetric(r.Query); err != nil {
			return err
		}
	case SourceFile:
		if _, err := parseRef(r.Query); err != nil {
			return err
		}
	}
	return nil
}

// samples reads MinSamples for a profile: the least count and the query that
// counts. Zero means that none is asked.
func (r Row) samples(profile string) (least float64, query string, err error) {
	if r.MinSamples == "" {
		return 0, "", nil
	}
	head, query, _ := strings.Cut(r.MinSamples, " of ")
	query = strings.TrimSpace(query)
	bad := func(why string) (float64, string, error) {
		return 0, "", fmt.Errorf("min_samples %q: %s", r.MinSamples, why)
	}
	found := map[string]float64{}
	for _, part := range strings.Fields(head) {
		name, text, named := strings.Cut(part, "=")
		if !named {
			name, text = "", part
		}
		n, err := number(text)
		if err != nil || n < 0 || n != math.Trunc(n) {
			return bad(strconv.Quote(text) + " is not a whole number")
		}
		if _, twice := found[name]; twice || named && name != Smoke && name != Full {
			return bad("write N, or smoke=N full=N")
		}
		found[name] = n
	}
	all, plain := found[""]
	if len(found) == 0 || plain && len(found) > 1 || !plain && len(found) != 2 {
		return bad("write N, or smoke=N full=N")
	}
	switch {
	case r.Source == SourceStep:
		return bad("a step has no samples")
	case query == "" && (r.Source == SourceProm || r.Source == SourceFile):
		return bad("a " + r.Source + " row has to say what counts them: N of QUERY")
	case query != "" && r.Source == SourceFile:
		_, err = parseRef(query)
	case query != "" && r.Source == SourceK6:
		_, _, err = splitMetric(query)
	}
	if err != nil {
		return bad(err.Error())
	}
	if !plain {
		all = found[profile]
	}
	return all, query, nil
}

// coverage reads MinCoverage: the least share and the jobs it is asked of, none
// meaning all. Zero means that none is asked.
func (r Row) coverage() (least float64, jobs []string, err error) {
	if r.MinCoverage == "" {
		return 0, nil, nil
	}
	head, tail, _ := strings.Cut(r.MinCoverage, " of ")
	least, err = number(strings.TrimSpace(head))
	if err != nil || least <= 0 || least > 1 {
		return 0, nil, fmt.Errorf("min_coverage %q is not a share in (0, 1]", r.MinCoverage)
	}
	if r.Source != SourceProm {
		return 0, nil, fmt.Errorf("min_coverage %q: a %s row is not scraped", r.MinCoverage, r.Source)
	}
	return least, strings.Fields(tail), nil
}

// ops are the comparisons. All are false of NaN.
var ops = map[string]func(v, bound float64) bool{
	"<=": func(v, b float64) bool { return v <= b },
	"<":  func(v, b float64) bool { return v < b },
	">=": func(v, b float64) bool { return v >= b },
	">":  func(v, b float64) bool { return v > b },
	"==": func(v, b float64) bool { return v == b },
}

// number reads a finite decimal. Hexadecimal, underscores, Inf and NaN are not
// numbers that people write into sheets.
func number(s string) (float64, error) {
	if s == "" || strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, fmt.Errorf("%q is not a decimal number", s)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, fmt.Errorf("%q is not a finite decimal number", s)
	}
	return f, nil
}
