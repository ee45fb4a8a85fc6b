package contracts

import (
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// maxResults bounds run_results.json; ours is below 1 MiB.
const maxResults = 64 << 20

// passing are the statuses of a dbt node that is fine. Everything else counts
// as failed, skipped included: a test that did not run did not pass.
var passing = []string{"pass", "success", "warn", "no-op"}

// DbtCollector exports dbt_tests_failed from the run_results.json of a dbt
// target folder, read when Prometheus scrapes. Only a whole `dbt build` counts:
// `dbt docs generate` writes the same file without having run a test. An absent,
// unfinished, partial or foreign file gives no sample, which the gate judges as
// NO_DATA, not as a pass.
type DbtCollector struct {
	file string
	log  *slog.Logger
	desc *prometheus.Desc

	mu     sync.Mutex
	at     time.Time // modification time and size of what was read last
	size   int64
	failed int
	valid  bool
}

// NewDbtCollector watches <target>/run_results.json. It reads nothing yet.
func NewDbtCollector(target string, log *slog.Logger) *DbtCollector {
	return &DbtCollector{
		file: filepath.Join(target, "run_results.json"), log: log,
		desc: prometheus.NewDesc("dbt_tests_failed", "Nodes of the last dbt run that did not pass (tests, models, unit tests).", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *DbtCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements prometheus.Collector.
func (c *DbtCollector) Collect(ch chan<- prometheus.Metric) {
	if failed, ok := c.read(); ok {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(failed))
	}
}

// read returns the count, from the cache while the file is the same.
func (c *DbtCollector) read() (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	st, err := os.Stat(c.file)
	if err != nil {
		c.valid, c.size = false, -1
		return 0, false
	}
	if c.size == st.Size() && c.at.Equal(st.ModTime()) {
		return c.failed, c.valid
	}
	c.at, c.size = st.ModTime(), st.Size()
	c.failed, c.valid = countFailed(c.file)
	if !c.valid {
		c.log.Warn("dbt results are not readable", "file", c.file)
	}
	return c.failed, c.valid
}

// countFailed is false for a file that is no finished build of everything.
func countFailed(name string) (failed int, ok bool) {
	f, err := os.Open(name)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	var doc struct {
		Args struct {
			Which     string   `json:"which"`
			Select    []string `json:"select"`
			Exclude   []string `json:"exclude"`
			Resources []string `json:"resource_types"`
			Without   []string `json:"exclude_resource_types"`
		} `json:"args"`
		Results []struct {
			Status   string `json:"status"`
			UniqueID string `json:"unique_id"`
		} `json:"results"`
	}
	if err := json.NewDecoder(io.LimitReader(f, maxResults)).Decode(&doc); err != nil || len(doc.Results) == 0 {
		return 0, false
	}
	if a := doc.Args; a.Which != "build" || len(a.Select)+len(a.Exclude)+len(a.Resources)+len(a.Without) > 0 {
		return 0, false
	}
	for _, r := range doc.Results {
		if r.UniqueID == "" {
			return 0, false
		}
		if !slices.Contains(passing, r.Status) {
			failed++
		}
	}
	return failed, true
}
