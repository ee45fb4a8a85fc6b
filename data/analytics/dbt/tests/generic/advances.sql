{#- In the order of the sequence, time never runs backwards. -#}
{% test advances(model, sequence, time) %}
with ordered as (
    select
        {{ sequence }},
        {{ time }},
        max({{ time }}) over (
            order by {{ sequence }} groups between unbounded preceding and 1 preceding
        ) as latest_before
    from {{ model }}
)

select *
from ordered
where {{ time }} < latest_before
{% endtest %}
