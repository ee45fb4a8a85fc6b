package gate

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"
)

// atSlack is how far the time in an answer may lie from the time that was
// asked: Prometheus keeps milliseconds, JSON spells them as a float.
const atSlack = time.Second

// answer is what Prometheus's HTTP API says to a query.
type answer struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
	// Warnings say that the answer is partial. Infos are hints about style.
	Warnings []string `json:"warnings"`
}

// point is a pair [unix seconds, "value"].
type point struct {
	at    time.Time
	value string
}

// UnmarshalJSON reads the pair; anything else is refused.
func (p *point) UnmarshalJSON(b []byte) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(b, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("a sample of %d parts", len(pair))
	}
	var seconds float64
	if err := json.Unmarshal(pair[0], &seconds); err != nil {
		return err
	}
	if math.Abs(seconds) > 1e11 {
		return fmt.Errorf("a sample at second %g", seconds)
	}
	p.at = time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()
	return json.Unmarshal(pair[1], &p.value)
}

// series is one line of a vector (Value) or matrix (Values).
type series struct {
	Metric map[string]string `json:"metric"`
	Value  *point            `json:"value"`
	Values []point           `json:"values"`
}

// readAnswer reads a raw answer and takes nothing for granted about it.
func readAnswer(evidence fs.FS, path string) (answer, finding) {
	var a answer
	b, err := readFile(evidence, path)
	if err != nil {
		return a, unreadable(path, err, NoData)
	}
	if len(b) == 0 {
		return a, missing(NoData, "%s is empty", path)
	}
	if err := decode(b, &a); err != nil {
		return a, missing(Error, "%s is no answer of Prometheus: %v", path, err)
	}
	if a.Status != "success" {
		return a, missing(Error, "%s: status %q: %s", path, a.Status, a.Error)
	}
	if len(a.Warnings) > 0 {
		return a, missing(Error, "%s: Prometheus warns: %s", path, a.Warnings[0])
	}
	return a, finding{}
}

// promValue reads one number from the answer to a row's question. Of slices it
// takes the one that is worst for the row's bound.
func promValue(evidence fs.FS, path string, q Query, worse func(a, b float64) bool) finding {
	a, f := readAnswer(evidence, path)
	if f.state != "" {
		return f
	}
	if q.Step > 0 {
		return a.worst(path, q, worse)
	}
	var p *point
	switch a.Data.ResultType {
	case "scalar":
		p = new(point)
		if err := decode(a.Data.Result, p); err != nil {
			return missing(Error, "%s: scalar: %v", path, err)
		}
	case "vector":
		s, f := a.single(path)
		if f.state != "" {
			return f
		}
		p = s.Value
	default:
		return missing(Error, "%s: a %q where one value is wanted", path, a.Data.ResultType)
	}
	if p == nil {
		return missing(Error, "%s: a series without a value", path)
	}
	if d := p.at.Sub(q.At).Abs(); d > atSlack {
		return missing(Error, "%s: the value is of %s, asked was %s", path, stamp(p.at), stamp(q.At))
	}
	return p.finding(path)
}

// single is the only series of a vector or matrix.
func (a answer) single(path string) (series, finding) {
	var all []series
	if err := decode(a.Data.Result, &all); err != nil {
		return series{}, missing(Error, "%s: %s: %v", path, a.Data.ResultType, err)
	}
	switch len(all) {
	case 1:
		return all[0], finding{}
	case 0:
		return series{}, missing(NoData, "%s: the answer is empty", path)
	}
	return series{}, missing(Error, "%s: %d series where one is wanted", path, len(all))
}

// finding of a sample: NaN is what a ratio of nothing to nothing is.
func (p point) finding(path string) finding {
	v, err := strconv.ParseFloat(p.value, 64)
	switch {
	case err != nil:
		return missing(Error, "%s: the value %q is no number", path, p.value)
	case math.IsNaN(v):
		return missing(NoData, "%s: the value is NaN", path)
	case math.IsInf(v, 0):
		return missing(Error, "%s: the value is %s", path, p.value)
	}
	return found(p.value)
}

// worst reads a range answer with a point for every slice that was asked.
func (a answer) worst(path string, q Query, worse func(a, b float64) bool) finding {
	if a.Data.ResultType != "matrix" {
		return missing(Error, "%s: a %q where a matrix is wanted", path, a.Data.ResultType)
	}
	s, f := a.single(path)
	if f.state != "" {
		return f
	}
	want := int(q.End.Sub(q.Start)/q.Step) + 1
	if len(s.Values) > want {
		return missing(Error, "%s: %d slices where %d were asked", path, len(s.Values), want)
	}
	if len(s.Values) < want {
		return missing(NoData, "%s: %d of %d slices", path, len(s.Values), want)
	}
	var worst finding
	var least float64
	for i, p := range s.Values {
		if at := q.Start.Add(time.Duration(i) * q.Step); p.at.Sub(at).Abs() > atSlack {
			return missing(Error, "%s: a slice ends at %s, asked was %s", path, stamp(p.at), stamp(at))
		}
		f := p.finding(path)
		if f.state != "" {
			return f
		}
		if v, _ := strconv.ParseFloat(f.value, 64); i == 0 || worse(v, least) {
			worst, least = f, v
		}
	}
	return worst
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// scrapeConfig is the part of prometheus.yml that says which scrapes to expect.
type scrapeConfig struct {
	Global struct {
		Interval string `yaml:"scrape_interval"`
	} `yaml:"global"`
	Jobs []struct {
		Name     string `yaml:"job_name"`
		Interval string `yaml:"scrape_interval"`
	} `yaml:"scrape_configs"`
}

// scrapes is what up.json holds against what prometheus.yml promises: the
// share of expected scrapes with up = 1, for each job; a job's worst target
// counts.
type scrapes struct {
	share map[string]float64
	jobs  []string // of prometheus.yml, in its order
	fault finding
}

func readScrapes(evidence fs.FS, load Window) scrapes {
	intervals, jobs, f := readIntervals(evidence)
	if f.state != "" {
		return scrapes{fault: f}
	}
	a, f := readAnswer(evidence, UpFile)
	if f.state != "" {
		return scrapes{fault: f}
	}
	var all []series
	if err := decode(a.Data.Result, &all); err != nil || a.Data.ResultType != "matrix" {
		return scrapes{fault: missing(Error, "%s: not a matrix: %v", UpFile, err)}
	}
	s := scrapes{share: map[string]float64{}, jobs: jobs}
	for _, target := range all {
		job := target.Metric["job"]
		every, known := intervals[job]
		if !known {
			continue // a target of nobody's job proves nothing
		}
		up := map[int64]bool{}
		for _, p := range target.Values {
			if p.value == "1" && !p.at.Before(load.Start.Add(-atSlack)) && !p.at.After(load.End.Add(atSlack)) {
				up[p.at.UnixMilli()] = true
			}
		}
		share := min(1, float64(len(up))/max(1, math.Floor(load.Duration().Seconds()/every.Seconds())))
		if least, twice := s.share[job]; !twice || share < least {
			s.share[job] = share
		}
	}
	return s
}

// readIntervals reads how often each job is scraped.
func readIntervals(evidence fs.FS) (map[string]time.Duration, []string, finding) {
	b, err := readFile(evidence, PrometheusFile)
	if err != nil {
		return nil, nil, unreadable(PrometheusFile, err, Error)
	}
	var c scrapeConfig
	if err := yaml.Unmarshal(b, &c); err != nil {
		return nil, nil, missing(Error, "%s: %v", PrometheusFile, err)
	}
	intervals := map[string]time.Duration{}
	var jobs []string
	for _, j := range c.Jobs {
		text := j.Interval
		if text == "" {
			text = c.Global.Interval
		}
		every, err := parsePromTime(text)
		if err != nil {
			return nil, nil, missing(Error, "%s: scrape_interval of %s: %v", PrometheusFile, j.Name, err)
		}
		intervals[j.Name] = every
		jobs = append(jobs, j.Name)
	}
	if len(jobs) == 0 {
		return nil, nil, missing(Error, "%s scrapes nothing", PrometheusFile)
	}
	return intervals, jobs, finding{}
}

// worst is the share of the job that was scraped least, and its name.
func (s scrapes) worst(jobs []string) (share float64, job string) {
	if len(jobs) == 0 {
		jobs = s.jobs
	}
	share = 1
	for i, j := range jobs {
		if i == 0 || s.share[j] < share {
			share, job = s.share[j], j
		}
	}
	return share, job
}

// expects reports whether every named job is one that prometheus.yml scrapes.
func (s scrapes) expects(jobs []string) (unknown string, ok bool) {
	for _, j := range jobs {
		if !slices.Contains(s.jobs, j) {
			return j, false
		}
	}
	return "", true
}
