package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// readBudget reads the columns suite, cold_s, warm_s (tab-separated, # starts
// a comment) and picks the one that applies. Every suite and "total" must have
// exactly one positive bound, and no other name may appear.
func readBudget(r io.Reader, suites []suite, cold bool) (map[string]time.Duration, error) {
	open := map[string]bool{"total": true}
	for _, s := range suites {
		open[s.name] = true
	}
	column := 2
	if cold {
		column = 1
	}
	budget := map[string]time.Duration{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "suite\t") {
			continue
		}
		cells := strings.Split(line, "\t")
		if len(cells) != 3 {
			return nil, fmt.Errorf("line %d has %d cells, want 3", n, len(cells))
		}
		if !open[cells[0]] {
			return nil, fmt.Errorf("line %d: %q is no suite or appears twice", n, cells[0])
		}
		delete(open, cells[0])
		seconds, err := strconv.Atoi(cells[column])
		if err != nil || seconds <= 0 {
			return nil, fmt.Errorf("line %d: %q is not a positive number of seconds", n, cells[column])
		}
		budget[cells[0]] = time.Duration(seconds) * time.Second
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	for name := range open {
		return nil, fmt.Errorf("no budget for %q", name)
	}
	return budget, nil
}
