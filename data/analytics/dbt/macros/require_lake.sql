{#-
  Fails a run before its first model if the lake lacks a table or its commit
  point, naming what is missing. An absent table is never read as an empty one:
  what was not there was not judged.
-#}
{% macro require_lake() %}
  {%- if execute -%}
    {%- set lake, missing = env_var('MBP_LAKE'), [] -%}
    {%- for node in graph.sources.values() if node.source_name == 'mbp_lake' -%}
      {%- set path = '_manifest/checkpoint.json' if node.name == 'checkpoint' else node.name ~ '/dt=*/hr=*/part-*.parquet' -%}
      {%- if run_query("select count(*) from glob('" ~ lake ~ "/" ~ path ~ "')").rows[0][0] == 0 -%}
        {%- do missing.append(path) -%}
      {%- endif -%}
    {%- endfor -%}
    {%- if missing -%}
      {%- do exceptions.raise_compiler_error('the lake ' ~ lake ~ ' has no ' ~ missing | sort | join(', no ') ~ '; mbp serve writes it') -%}
    {%- endif -%}
  {%- endif -%}
{% endmacro %}
