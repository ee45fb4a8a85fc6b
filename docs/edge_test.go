package docs_test

import (
	"regexp"
	"strings"
	"testing"
)

// TestEdgePromisesAreHeld: every test that the pages of the edge and of the streams name
// is one of the package that it is said to be in.
func TestEdgePromisesAreHeld(t *testing.T) {
	for _, page := range []string{"spec/edge.md", "spec/streams.md"} {
		named := 0
		for _, m := range regexp.MustCompile("`([a-z/]+)` (Test\\w+(?:, Test\\w+)*)").FindAllStringSubmatch(read(t, page), -1) {
			have := testsOf(t, m[1])
			for name := range strings.SplitSeq(m[2], ", ") {
				if named++; !have[name] {
					t.Errorf("%s has no test %s", m[1], name)
				}
			}
		}
		if named < 5 {
			t.Errorf("%d tests are named in %s: the page is read wrongly", named, page)
		}
	}
}
