{#-
  Fails a run before its first model if the lake lacks a table or its commit
  point, naming what is missing. An absent table is never read as an empty one:
  what was not there was not judged. Of a table that may be empty the commit point
  says whether it is.
-#}
{% macro require_lake() %}
  {%- if execute -%}
    {%- set lake, missing = env_var('MBP_LAKE'), [] -%}
    {%- set known = lake_files('_manifest/checkpoint.json') > 0 -%}
    {%- for node in graph.sources.values() if node.source_name == 'mbp_lake' -%}
      {%- set path = '_manifest/checkpoint.json' if node.name == 'checkpoint' else node.name ~ '/dt=*/hr=*/part-*.parquet' -%}
      {%- set empty = known and node.config.meta.get('may_be_empty') and lake_rows(node.name) == 0 -%}
      {%- if not empty and lake_files(path) == 0 -%}
        {%- do missing.append(path) -%}
      {%- endif -%}
    {%- endfor -%}
    {%- if missing -%}
      {%- do exceptions.raise_compiler_error('the lake ' ~ lake ~ ' has no ' ~ missing | sort | join(', no ') ~ '; mbp serve writes it') -%}
    {%- endif -%}
  {%- endif -%}
{% endmacro %}
