package registry

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// semver is major.minor.patch without pre-release or build.
type semver [3]int

func (v semver) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }

func (v semver) compare(w semver) int {
	return cmp.Or(cmp.Compare(v[0], w[0]), cmp.Compare(v[1], w[1]), cmp.Compare(v[2], w[2]))
}

// parseVersionName reads v1.2.0.json. Leading zeros and signs are refused, so
// that one version has one name.
func parseVersionName(base string) (semver, bool) {
	body, ok := strings.CutPrefix(base, "v")
	if !ok {
		return semver{}, false
	}
	if body, ok = strings.CutSuffix(body, ".json"); !ok {
		return semver{}, false
	}
	parts := strings.Split(body, ".")
	if len(parts) != 3 {
		return semver{}, false
	}
	var v semver
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || strconv.FormatUint(n, 10) != p {
			return semver{}, false
		}
		v[i] = int(n)
	}
	return v, true
}
