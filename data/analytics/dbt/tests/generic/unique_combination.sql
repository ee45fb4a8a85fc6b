{#- The columns together are unique and never null: the grain of the model. -#}
{% test unique_combination(model, columns) %}
select {{ columns | join(', ') }}, count(*) as copies
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{%- for c in columns %} or {{ c }} is null{% endfor %}
{% endtest %}
