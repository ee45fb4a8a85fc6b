package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// maxEvidence bounds one file that the judge reads into memory. An hour of
// Prometheus answers is far below; the largest, dbt's manifest, is a few MB.
const maxEvidence = 64 << 20

// readFile reads a whole file of the evidence, up to maxEvidence.
func readFile(evidence fs.FS, path string) ([]byte, error) {
	f, err := evidence.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	b, err := io.ReadAll(io.LimitReader(f, maxEvidence+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxEvidence {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxEvidence)
	}
	return b, nil
}

// finding is what a source says of a row: a value, or the state that stands in
// its way.
type finding struct {
	value  string // exact text
	of     string // what the value counts, if that has names
	state  State  // empty if value is good
	reason string
}

func found(value string) finding { return finding{value: value} }

func missing(s State, format string, args ...any) finding {
	return finding{state: s, reason: fmt.Sprintf(format, args...)}
}

// unreadable turns a failure to read path into a finding; absent says what a
// missing file means.
func unreadable(path string, err error, absent State) finding {
	if errors.Is(err, fs.ErrNotExist) {
		return missing(absent, "%s is missing", path)
	}
	return missing(Error, "%s: %v", path, err)
}

// decode reads exactly one JSON value, keeping numbers as they are spelled.
func decode(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// ref points at a number in a JSON file.
type ref struct {
	path    string
	count   bool // the number is how many elements there are
	pointer []string
	key     string // count only elements whose key is (or is not) one of values
	not     bool
	values  []string
}

// parseRef reads path#/json/pointer or path#count:/json/pointer[?key=a,b].
func parseRef(s string) (ref, error) {
	path, rest, ok := strings.Cut(s, "#")
	if !ok || !fs.ValidPath(path) || path == "." {
		return ref{}, fmt.Errorf("query %q is not path#/pointer within the evidence", s)
	}
	r := ref{path: path}
	rest, r.count = strings.CutPrefix(rest, "count:")
	rest, filter, filtered := strings.Cut(rest, "?")
	if filtered {
		key, values, ok := strings.Cut(filter, "=")
		r.key, r.not = strings.CutSuffix(key, "!")
		r.values = strings.Split(values, ",")
		if !ok || r.key == "" || !r.count {
			return ref{}, fmt.Errorf("query %q: a filter is count:/pointer?key=a,b or ?key!=a,b", s)
		}
	}
	if rest != "" && rest[0] != '/' || rest == "" && !r.count {
		return ref{}, fmt.Errorf("query %q: a JSON pointer starts with /", s)
	}
	if rest != "" && rest != "/" {
		for _, part := range strings.Split(rest[1:], "/") {
			r.pointer = append(r.pointer, strings.NewReplacer("~1", "/", "~0", "~").Replace(part))
		}
	}
	return r, nil
}

// find reads what the reference points at.
func (r ref) find(evidence fs.FS) finding {
	b, err := readFile(evidence, r.path)
	if err != nil {
		return unreadable(r.path, err, NotRun)
	}
	var v any
	if err := decode(b, &v); err != nil {
		return missing(Error, "%s is not JSON: %v", r.path, err)
	}
	for i, part := range r.pointer {
		var ok bool
		switch at := v.(type) {
		case map[string]any:
			v, ok = at[part]
		case []any:
			n, err := strconv.Atoi(part)
			if ok = err == nil && n >= 0 && n < len(at) && strconv.Itoa(n) == part; ok {
				v = at[n]
			}
		}
		if !ok {
			return missing(NoData, "%s has no /%s", r.path, strings.Join(r.pointer[:i+1], "/"))
		}
	}
	if r.count {
		return r.countIn(v)
	}
	switch v := v.(type) {
	case json.Number:
		return found(v.String())
	case bool:
		if v {
			return found("1")
		}
		return found("0")
	case nil:
		return missing(NoData, "%s: the value is null", r.path)
	}
	return missing(Error, "%s: the value is no number and no boolean", r.path)
}

// countIn counts the elements of a list or object that pass the filter. An
// element that lacks the filter's key fails the whole count: it would be
// counted by one spelling of the filter and not by the other.
func (r ref) countIn(v any) finding {
	var elements []any
	switch v := v.(type) {
	case []any:
		elements = v
	case map[string]any:
		for _, e := range v {
			elements = append(elements, e)
		}
	case nil: // as an empty list is spelled by some programs
	default:
		return missing(Error, "%s: neither a list nor an object to count in", r.path)
	}
	n, names := 0, []string{}
	for _, e := range elements {
		if r.key != "" {
			at, _ := e.(map[string]any)
			text, ok := at[r.key].(string)
			if !ok {
				return missing(Error, "%s: an element has no text under %q", r.path, r.key)
			}
			if slices.Contains(r.values, text) == r.not {
				continue
			}
			if name := nameOf(at); name != "" && len(names) < maxNames {
				names = append(names, name)
			}
		}
		n++
	}
	f := found(strconv.Itoa(n))
	if f.of = strings.Join(names, ", "); len(names) > 0 && n > len(names) {
		f.of += fmt.Sprintf(" and %d more", n-len(names))
	}
	return f
}

// maxNames bounds how many elements a reason names; the file has them all.
const maxNames = 3

// nameOf is how an element of a list calls itself, cut to what a line can hold.
func nameOf(element map[string]any) string {
	for _, key := range []string{"unique_id", "id", "name"} {
		if text, ok := element[key].(string); ok && text != "" {
			return strings.ToValidUTF8(text[:min(len(text), 120)], "")
		}
	}
	return ""
}

// k6Summary is the part of handleSummary's data that is read.
type k6Summary struct {
	Metrics map[string]k6Metric `json:"metrics"`
	Gate    struct {
		Completed json.Number            `json:"completed"`
		Rate      json.Number            `json:"achieved_rps"`
		Mix       map[string]json.Number `json:"mix"`
		Codes     map[string]json.Number `json:"codes"`
	} `json:"gate"`
}

type k6Metric struct {
	Type   string                 `json:"type"` // counter, gauge, rate, trend
	Values map[string]json.Number `json:"values"`
}

func readSummary(evidence fs.FS) (k6Summary, finding) {
	var s k6Summary
	b, err := readFile(evidence, SummaryFile)
	if err != nil {
		return s, unreadable(SummaryFile, err, NotRun)
	}
	if err := decode(b, &s); err != nil {
		return s, missing(Error, "%s: %v", SummaryFile, err)
	}
	return s, finding{}
}

// splitMetric takes metric.stat apart. Tag values may hold dots, and so may
// p(99.9).
func splitMetric(q string) (metric, stat string, err error) {
	at := strings.LastIndexByte(q, '}') + 1
	dot := strings.IndexByte(q[at:], '.')
	if dot < 0 || at+dot == 0 || at+dot+1 == len(q) || at > 0 && dot != 0 {
		return "", "", fmt.Errorf("query %q is not metric.stat, like http_req_duration{kind:dec}.p(95)", q)
	}
	return q[:at+dot], q[at+dot+1:], nil
}

func (s k6Summary) find(query string) finding {
	metric, stat, err := splitMetric(query)
	if err != nil {
		return missing(Error, "%v", err)
	}
	m, ok := s.Metrics[metric]
	if !ok {
		return missing(NoData, "%s has no metric %s", SummaryFile, metric)
	}
	v, ok := m.Values[stat]
	if !ok {
		return missing(NoData, "%s: %s has no %s", SummaryFile, metric, stat)
	}
	return found(v.String())
}

// samples is how many observations a metric was made of. k6 gives 0 for every
// statistic of a trend or rate without any, so a count is needed to believe one.
func (s k6Summary) samples(query string) finding {
	metric, _, err := splitMetric(query)
	if err != nil {
		return missing(Error, "%v", err)
	}
	m := s.Metrics[metric]
	switch count := m.Values["count"]; {
	case m.Type == "counter":
		return missing(Error, "a counter does not say how often it was looked at: min_samples needs N of QUERY")
	case count != "":
		return found(count.String())
	case m.Type == "rate":
		passes, err1 := m.Values["passes"].Int64()
		fails, err2 := m.Values["fails"].Int64()
		if err1 == nil && err2 == nil {
			return found(strconv.FormatInt(passes+fails, 10))
		}
	case m.Type == "gauge":
		return found("1")
	}
	return missing(NoData, "%s: %s %s has no count; k6 gives one with summaryTrendStats", SummaryFile, m.Type, metric)
}
