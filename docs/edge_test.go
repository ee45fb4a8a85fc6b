package docs_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestEdgePromisesAreHeld: every test that the page of the edge names is one of the
// package that it is said to be in.
func TestEdgePromisesAreHeld(t *testing.T) {
	named := 0
	for _, m := range regexp.MustCompile("`([a-z/]+)` (Test\\w+(?:, Test\\w+)*)").FindAllStringSubmatch(read(t, "spec/edge.md"), -1) {
		have := testsOf(t, m[1])
		for name := range strings.SplitSeq(m[2], ", ") {
			if named++; !have[name] {
				t.Errorf("%s has no test %s", m[1], name)
			}
		}
	}
	if named < 5 {
		t.Errorf("%d tests are named: the page is read wrongly", named)
	}
}
