package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestSeriesOfAlertsAreThere: whatever is turned off, a healthy server exports every
// series whose absence raises SeriesAbsent.
func TestSeriesOfAlertsAreThere(t *testing.T) {
	rules, err := os.ReadFile("../../obs/ops/prom/rules_s4.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, guard, _ := strings.Cut(string(rules), "- alert: SeriesAbsent")
	guard, _, _ = strings.Cut(guard, "for:")
	series := regexp.MustCompile(`absent\((\w+)`).FindAllStringSubmatch(guard, -1)
	if len(series) < 19 {
		t.Fatalf("%d series: %v", len(series), series)
	}
	for name, change := range map[string]func(*Config){
		"bare": func(c *Config) { c.SnapshotEvery = 0 },
		"full": func(c *Config) { c.Archive = t.TempDir() },
	} {
		t.Run(name, func(t *testing.T) {
			r := runPlatform(t, change)
			w := httptest.NewRecorder()
			r.api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			for _, s := range series {
				if !regexp.MustCompile(`(?m)^` + s[1] + `[{ ]`).MatchString(w.Body.String()) {
					t.Errorf("there is no %s", s[1])
				}
			}
			if err := r.shut(10 * time.Second); err != nil {
				t.Error(err)
			}
		})
	}
}
