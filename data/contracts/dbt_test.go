package contracts

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestDbtTestsFailed(t *testing.T) {
	dir := t.TempDir()
	c := NewDbtCollector(dir, slog.New(slog.DiscardHandler))
	want := func(value string) {
		t.Helper()
		if value == "" {
			if n := testutil.CollectAndCount(c); n != 0 {
				t.Fatalf("%d samples, want none", n)
			}
			return
		}
		text := "# HELP dbt_tests_failed Nodes of the last dbt run that did not pass (tests, models, unit tests).\n# TYPE dbt_tests_failed gauge\ndbt_tests_failed " + value + "\n"
		if err := testutil.CollectAndCompare(c, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Unix(1767355200, 0)
	write := func(statuses ...string) {
		t.Helper()
		var rows []string
		for _, s := range statuses {
			rows = append(rows, `{"unique_id":"test.mbp.x","status":"`+s+`"}`)
		}
		raw(t, dir, `{"metadata":{},"args":{"which":"build","select":[],"exclude":[]},"results":[`+strings.Join(rows, ",")+`]}`, &at)
	}
	want("")
	write("pass", "success", "warn")
	want("0")
	want("0") // from the cache
	write("pass", "fail", "success")
	want("1")
	write("error", "skipped", "runtime error", "a status of the future")
	want("4")
	write()
	want("")
	for _, args := range []string{`{}`, `{"which":"generate"}`, `{"which":"run"}`, `{"which":"build","select":["mbp_quotes"]}`, `{"which":"build","exclude":["x"]}`, `{"which":"build","resource_types":["model"]}`, `{"which":"build","exclude_resource_types":["test"]}`} {
		raw(t, dir, `{"args":`+args+`,"results":[{"unique_id":"test.mbp.x","status":"pass"}]}`, &at)
		want("")
	}
	raw(t, dir, `{"args":{"which":"build"},"results":[{"status":"pass"}]}`, &at)
	want("")
	raw(t, dir, `{"args":{"which":"build"},"results":[{"unique_id":"test.mbp.x","sta`, &at)
	want("")
	write("pass")
	want("0")
	if err := os.Remove(filepath.Join(dir, "run_results.json")); err != nil {
		t.Fatal(err)
	}
	want("")
}

// raw writes the file with a new modification time, as a later run would.
func raw(t *testing.T, dir, text string, at *time.Time) {
	t.Helper()
	name := filepath.Join(dir, "run_results.json")
	*at = at.Add(time.Second)
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, *at, *at); err != nil {
		t.Fatal(err)
	}
}
