{#- A row lies in the folder of the hour in which it was decided (UTC). -#}
{% test partition_matches(model, time) %}
select *
from {{ model }}
where partition_date <> cast({{ time }} as date)
    or partition_hour <> extract(hour from {{ time }})
{% endtest %}
