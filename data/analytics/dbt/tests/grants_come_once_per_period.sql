-- A schedule grants an account once in a period, in a round that has begun, and to
-- accounts that there were then.
with rounds as (
    select
        schedule,
        period_at,
        min(seq) as begun_seq,
        max(accounts) as accounts
    from {{ ref('stg_mbp__grants') }}
    where step = 'begun'
    group by schedule, period_at
),

granted as (
    select
        seq,
        schedule,
        period_at,
        account,
        row_number() over (partition by schedule, period_at, account order by seq) as nth
    from {{ ref('stg_mbp__grants') }}
    where step = 'granted' and schedule is not null
)

select granted.*
from granted
left join rounds
    on granted.schedule = rounds.schedule and granted.period_at = rounds.period_at
where granted.nth > 1
    or rounds.begun_seq is null
    or rounds.begun_seq > granted.seq
    or cast(substr(granted.account, 5) as bigint) > rounds.accounts
