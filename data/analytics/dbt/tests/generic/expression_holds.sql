{#- The expression is true in every row; null is a failure. -#}
{% test expression_holds(model, expression) %}
select *
from {{ model }}
where ({{ expression }}) is not true
{% endtest %}
