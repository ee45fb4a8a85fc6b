-- One row per account and schedule that granted it credits, and one for what
-- operators gave it, which has no schedule.
select
    account,
    case when schedule is null then 'operator' else 'schedule' end as source,
    coalesce(schedule, '') as schedule,
    count(*) as grants,
    cast(sum(amount_micros) as bigint) as granted_micros,
    min(decided_at) as first_granted_at,
    max(decided_at) as last_granted_at,
    max(period_at) as last_period_at,
    max(seq) as last_seq
from {{ ref('stg_mbp__grants') }}
where step = 'granted'
group by account, schedule
