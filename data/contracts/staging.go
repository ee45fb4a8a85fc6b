package contracts

import (
	"bytes"
	"fmt"
	"math"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mbp-market/mbp/schemas/registry"
)

// SourceName is the dbt source that stands for the lake.
const SourceName = "mbp_lake"

// Freshness of the lake as dbt judges it: minutes from the newest commit in it.
const (
	FreshWarnMinutes  = 2
	FreshErrorMinutes = 5
)

// The columns that the folders of the lake add to a table.
var partitionColumns = []struct{ folder, column, dataType, text string }{
	{"dt", "partition_date", "date", "Day of decided_at in UTC, from the folder dt=."},
	{"hr", "partition_hour", "bigint", "Hour of decided_at in UTC, from the folder hr=."},
}

// node is a YAML mapping whose keys stay in the order they are given.
type node []entry

type entry struct {
	key   string
	value any
}

// MarshalYAML implements yaml.Marshaler.
func (n node) MarshalYAML() (any, error) {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, e := range n {
		var key, value yaml.Node
		key.SetString(e.key)
		if err := value.Encode(e.value); err != nil {
			return nil, err
		}
		out.Content = append(out.Content, &key, &value)
	}
	return out, nil
}

// ModelName returns the dbt staging model of a table: mbp_quotes becomes
// stg_mbp__quotes.
func ModelName(table string) string {
	return "stg_mbp__" + strings.TrimPrefix(table, registry.Prefix)
}

// mayBeEmpty says of which tables a house that works may have no row: nobody has to put
// anybody into groups or open a season, and a lake that is older than a table has no row of it before the
// next change. Where the checkpoint says so, they are read as empty; where it does not,
// and of every other table, a lake without files is refused.
func mayBeEmpty(table string) bool {
	return table == "mbp_grants" || table == "mbp_groups" || table == "mbp_seasons"
}

// checkpointTable is the source that stands for the lake's commit point, next to
// one source for each hot table.
const checkpointTable = "checkpoint"

// Staging returns the generated files of the dbt project's models/staging: one
// SQL model per table and one for the checkpoint, the sources, and the models'
// properties with one test for every promise that the schema makes about a
// column.
func Staging(reg *registry.Registry) (map[string][]byte, error) {
	out := map[string][]byte{ModelName(checkpointTable) + ".sql": checkpointSQL(reg.Tables())}
	tables, models := []node{checkpointSource()}, []node{checkpointModel(reg.Tables())}
	for _, table := range reg.Tables() {
		s, err := reg.Latest(table)
		if err != nil {
			return nil, fmt.Errorf("render staging: %w", err)
		}
		out[ModelName(table)+".sql"] = stagingSQL(s)
		tables = append(tables, sourceTable(s))
		models = append(models, stagingModel(s))
	}
	for name, doc := range map[string]node{
		"_mbp__sources.yml": {{"version", 2}, {"sources", []node{source(tables)}}},
		"_mbp__models.yml":  {{"version", 2}, {"models", models}},
	} {
		var buf bytes.Buffer
		buf.WriteString(Header)
		enc := yaml.NewEncoder(&buf)
		enc.SetIndent(2)
		if err := enc.Encode(doc); err != nil {
			return nil, fmt.Errorf("render %s: %w", name, err)
		}
		out[name] = buf.Bytes()
	}
	return out, nil
}

// stagingSQL names every column, so that a lake that lacks one fails the build.
func stagingSQL(s *registry.Schema) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s-- The committed rows of %s v%s, one to one: nothing is dropped or\n", sqlHeader, s.Table, s.Version)
	b.WriteString("-- deduplicated (the lake holds each row once, and a test says so), only the\n-- folders are renamed to what they mean.\nselect\n")
	for _, c := range s.Columns {
		fmt.Fprintf(&b, "    %s,\n", c.Name)
	}
	for i, p := range partitionColumns {
		comma := ","
		if i == len(partitionColumns)-1 {
			comma = ""
		}
		fmt.Fprintf(&b, "    cast(%s as %s) as %s%s\n", p.folder, p.dataType, p.column, comma)
	}
	if mayBeEmpty(s.Table) {
		fmt.Fprintf(&b, "from {{ lake_table('%s', {", s.Table)
		for _, c := range s.Columns {
			fmt.Fprintf(&b, "'%s': '%s', ", c.Name, dataType(c.Kind))
		}
		b.WriteString("'dt': 'varchar', 'hr': 'bigint'}) }}\n")
	} else {
		fmt.Fprintf(&b, "from {{ source('%s', '%s') }}\n", SourceName, s.Table)
	}
	fmt.Fprintf(&b, "where seq <= (select max(through_seq) from {{ ref('%s') }})\n", ModelName(checkpointTable))
	return []byte(b.String())
}

// sqlHeader marks the generated SQL files.
var sqlHeader = "-- " + strings.TrimPrefix(Header, "# ")

// checkpointSQL is read before any table, so that all tables of a build end at
// the same decision while the pipeline goes on writing.
func checkpointSQL(tables []string) []byte {
	return fmt.Appendf(nil, `%s-- Through which decision the lake is complete: the commit point of data/cdc. What
-- lies beyond it belongs to a commit that is under way.
with tables as (
    select unnest(['%s']) as table_name
)

select
    tables.table_name,
    checkpoint.seq as through_seq,
    coalesce(cast(json_extract_string(checkpoint.rows, '$.' || tables.table_name) as bigint), 0) as committed_rows
from {{ source('%s', '%s') }} as checkpoint
cross join tables
`, sqlHeader, strings.Join(tables, "', '"), SourceName, checkpointTable)
}

func checkpointSource() node {
	return node{
		{"name", checkpointTable},
		{"description", "The commit point of the lake, replaced last in every commit."},
		{"config", node{{"meta", node{
			{"external_location", "read_json('{{ env_var(\"MBP_LAKE\") }}/_manifest/checkpoint.json', columns = {'seq': 'BIGINT', 'rows': 'JSON'})"},
			{"formatter", "template"},
		}}}},
		{"columns", []node{
			{{"name", "seq"}, {"description", "Last decision that the lake covers, in all tables."}, {"data_type", "bigint"}},
			{{"name", "rows"}, {"description", "Rows ever committed, by table."}, {"data_type", "json"}},
		}},
	}
}

func checkpointModel(tables []string) node {
	column := func(name, dataType, text string, tests ...node) node {
		return node{{"name", name}, {"description", text}, {"data_type", dataType}, {"data_tests", tests}}
	}
	test := func(name, suffix string, arguments node) node {
		return dataTest(name, "checkpoint_"+suffix, "A87-01", arguments)
	}
	return node{
		{"name", ModelName(checkpointTable)},
		{"description", "One row per hot table: through which decision the lake is complete, and how many rows it holds. Every other staging model ends at this decision, so a build is one consistent moment of the journal."},
		{"columns", []node{
			column("table_name", "varchar", "Hot table.", test("unique", "table_is_unique", nil), test("accepted_values", "table_is_registered", node{{"values", tables}})),
			column("through_seq", "bigint", "Last decision that the lake covers. Unit: sequence.", test("in_range", "through_seq_is_in_range", node{{"minimum", 1}}), test("not_null", "through_seq_is_present", nil)),
			column("committed_rows", "bigint", "Rows of the table that the pipeline ever committed. Unit: rows.", test("not_null", "committed_rows_are_present", nil)),
		}},
	}
}

// source reads the files by glob, as any reader of the lake does. One pipeline
// writes all tables up to one checkpoint, so the newest commit anywhere in the
// lake says how complete each of them is.
func source(tables []node) node {
	return node{
		{"name", SourceName},
		{"description", "The Parquet lake of the hot tables, filled by data/cdc; the folder is MBP_LAKE. Every row is in it exactly once."},
		{"config", node{
			{"meta", node{
				{"owner", Owner},
				{"external_location", "read_parquet('{{ env_var(\"MBP_LAKE\") }}/{name}/dt=*/hr=*/part-*.parquet', hive_partitioning = true, union_by_name = true)"},
			}},
			{"loaded_at_query", "select max(committed_at) from read_parquet('{{ env_var(\"MBP_LAKE\") }}/mbp_*/dt=*/hr=*/part-*.parquet', union_by_name = true)"},
			{"freshness", node{
				{"warn_after", node{{"count", FreshWarnMinutes}, {"period", "minute"}}},
				{"error_after", node{{"count", FreshErrorMinutes}, {"period", "minute"}}},
			}},
		}},
		{"tables", tables},
	}
}

func sourceTable(s *registry.Schema) node {
	var columns []node
	for _, c := range s.Columns {
		columns = append(columns, node{{"name", c.Name}, {"description", describe(c)}, {"data_type", dataType(c.Kind)}})
	}
	out := node{{"name", s.Table}, {"description", s.Description + " Schema v" + s.Version + "."}}
	if mayBeEmpty(s.Table) {
		out = append(out, entry{"config", node{{"meta", node{{"may_be_empty", true}}}}})
	}
	return append(out, entry{"columns", columns})
}

func stagingModel(s *registry.Schema) node {
	var columns []node
	for _, c := range s.Columns {
		column := node{{"name", c.Name}, {"description", describe(c)}, {"data_type", dataType(c.Kind)}}
		if tests := columnTests(s, c); len(tests) > 0 {
			column = append(column, entry{"data_tests", tests})
		}
		columns = append(columns, column)
	}
	for _, p := range partitionColumns {
		columns = append(columns, node{{"name", p.column}, {"description", p.text}, {"data_type", p.dataType}})
	}
	return node{
		{"name", ModelName(s.Table)},
		{"description", s.Description + " The committed rows of the lake, one to one; schema v" + s.Version + "."},
		{"columns", columns},
		{"data_tests", []node{
			dataTest("unique_combination", s.Table+"_key_is_unique", "A87-02", node{{"columns", s.PrimaryKey}}),
			dataTest("advances", s.Table+"_sequence_follows_time", "A87-03", node{{"sequence", "seq"}, {"time", "decided_at"}}),
			dataTest("expression_holds", s.Table+"_commit_follows_decision", "A87-03", node{{"expression", "committed_at >= decided_at"}}),
			dataTest("partition_matches", s.Table+"_partition_matches_time", "A87-04", node{{"time", "decided_at"}}),
			dataTest("complete", s.Table+"_is_complete", "A87-05", node{{"table_name", s.Table}}),
		}},
	}
}

// columnTests returns one test for each promise of the column's schema.
func columnTests(s *registry.Schema, c registry.Column) []node {
	var tests []node
	add := func(test, suffix string, arguments node) {
		tests = append(tests, dataTest(test, s.Table+"_"+c.Name+"_"+suffix, "A87-01", arguments))
	}
	if !c.Nullable {
		add("not_null", "is_present", nil)
	}
	if len(c.Enum) > 0 {
		add("accepted_values", "is_registered", node{{"values", c.Enum}})
	}
	if c.Kind == registry.Int64 && (c.Minimum != math.MinInt64 || c.Maximum != math.MaxInt64) {
		bounds := node{{"minimum", c.Minimum}}
		if c.Maximum != math.MaxInt64 {
			bounds = append(bounds, entry{"maximum", c.Maximum})
		}
		add("in_range", "is_in_range", bounds)
	}
	if c.Kind == registry.String && c.Pattern != "" {
		add("matches", "matches", node{{"pattern", c.Pattern}})
	}
	return tests
}

// dataTest is a dbt data test that carries the rule of rules.yaml it holds.
func dataTest(test, name, rule string, arguments node) node {
	body := node{{"name", name}, {"config", node{{"meta", node{{"rule", rule}}}}}}
	if arguments != nil {
		body = append(body, entry{"arguments", arguments})
	}
	return node{{test, body}}
}

func describe(c registry.Column) string { return c.Description + " Unit: " + c.Unit + "." }

func dataType(k registry.Kind) string {
	switch k {
	case registry.Timestamp:
		return "timestamptz"
	case registry.String:
		return "varchar"
	}
	return "bigint"
}
