-- In the order of the sequence joining and leaving alternate, and joining comes first.
with steps as (
    select
        seq,
        subject,
        role,
        group_id,
        step,
        lag(step) over (partition by subject, role, group_id order by seq) as before
    from {{ ref('stg_mbp__groups') }}
)

select *
from steps
where step = coalesce(before, 'left')
