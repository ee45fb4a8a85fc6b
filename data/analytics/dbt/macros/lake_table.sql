{#- How many files of a table the lake has. -#}
{% macro lake_files(path) %}
  {%- do return(run_query("select count(*) from glob('" ~ env_var('MBP_LAKE') ~ "/" ~ path ~ "')").rows[0][0]) -%}
{% endmacro %}
{#- How many rows of a table the commit point counts. -#}
{% macro lake_rows(table) %}
  {%- set checkpoint = "read_json('" ~ env_var('MBP_LAKE') ~ "/_manifest/checkpoint.json', columns = {'seq': 'BIGINT', 'rows': 'JSON'})" -%}
  {%- do return(run_query("select coalesce(max(cast(json_extract_string(rows, '$." ~ table ~ "') as bigint)), 0) from " ~ checkpoint).rows[0][0]) -%}
{% endmacro %}
{#-
  The rows of a table that may have none: without a file it is an empty relation of
  its columns, which require_lake has allowed only if the commit point counts none.
-#}
{% macro lake_table(table, columns) %}
  {%- set rows = source('mbp_lake', table) -%}
  {%- if execute and lake_files(table ~ '/dt=*/hr=*/part-*.parquet') == 0 -%}
    (select {% for name, type in columns.items() %}cast(null as {{ type }}) as {{ name }}{{ ', ' if not loop.last }}{% endfor %} where false) as no_rows
  {%- else -%}
    {{ rows }}
  {%- endif -%}
{% endmacro %}
