-- One row per schedule of grants: its last terms, whether somebody ended it, and
-- what it granted so far, under all the terms that it had.
with steps as (
    select
        *,
        row_number() over (partition by schedule, step order by seq desc, place desc) as nth_last
    from {{ ref('stg_mbp__grants') }}
    where schedule is not null
),

latest as (
    select
        schedule,
        max(case when step = 'set' then seq end) as set_seq,
        max(case when step = 'ended' then seq end) as ended_seq,
        max(case when step = 'set' and nth_last = 1 then amount_micros end) as amount_micros,
        max(case when step = 'set' and nth_last = 1 then cap_micros end) as cap_micros,
        max(case when step = 'set' and nth_last = 1 then every end) as every,
        max(case when step = 'set' and nth_last = 1 then groups end) as groups,
        max(case when step = 'set' and nth_last = 1 then starts_at end) as starts_at,
        max(case when step = 'set' and nth_last = 1 then ends_at end) as ends_at,
        sum(case when step = 'begun' then 1 else 0 end) as rounds,
        max(case when step = 'begun' then period_at end) as last_period_at,
        sum(case when step = 'granted' then 1 else 0 end) as grants,
        sum(case when step = 'granted' then amount_micros else 0 end) as granted_micros,
        max(seq) as last_seq
    from steps
    group by schedule
)

select
    schedule,
    every,
    amount_micros,
    cap_micros,
    groups,
    starts_at,
    ends_at,
    coalesce(ended_seq > set_seq, false) as ended,
    cast(rounds as bigint) as rounds,
    last_period_at,
    cast(grants as bigint) as grants,
    cast(granted_micros as bigint) as granted_micros,
    last_seq
from latest
