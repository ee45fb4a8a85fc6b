{#- The value of a column in the row that `number` marks as the one to take. -#}
{% macro from_row(column, number) -%}
  max(case when {{ number }} = 1 then {{ column }} end)
{%- endmacro %}
