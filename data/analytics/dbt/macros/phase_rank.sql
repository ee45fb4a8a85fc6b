{#- The place of a step among those of one decision: a report may make a
    proposal, and an approval may begin the settlement. -#}
{% macro phase_rank() -%}
  case phase when 'reported' then 1 when 'proposed' then 2 when 'started' then 4 when 'settled' then 5 else 3 end
{%- endmacro %}
