{#- The model has as many rows as the pipeline says it committed: no file of the
    lake was lost, added or read twice. -#}
{% test complete(model, table_name) %}
with counted as (
    select count(*) as found_rows
    from {{ model }}
)

select
    counted.found_rows,
    checkpoint.committed_rows
from counted
cross join {{ ref('stg_mbp__checkpoint') }} as checkpoint
where checkpoint.table_name = '{{ table_name }}'
    and counted.found_rows <> checkpoint.committed_rows
{% endtest %}
