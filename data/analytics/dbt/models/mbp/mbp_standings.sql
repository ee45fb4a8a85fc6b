-- One row per season and account that was counted at its end: what it had then, what
-- it had at the begin and was granted between, and its rank by the difference. A name
-- that is used again, once a season is forgotten, is that of the last season.
with latest as (
    select
        season,
        max(seq) as opened_seq
    from {{ ref('stg_mbp__seasons') }}
    where step = 'opened'
    group by season
),

steps as (
    select all_steps.*
    from {{ ref('stg_mbp__seasons') }} as all_steps
    inner join latest on all_steps.season = latest.season and all_steps.seq >= latest.opened_seq
),

turns as (
    select
        season,
        max(case when step = 'begun' then seq end) as begun_seq,
        max(case when step = 'ended' then seq end) as ended_seq,
        max(case when step = 'ended' then decided_at end) as ended_at
    from steps
    group by season
),

counted as (
    select
        season,
        account,
        coalesce(max(case when step = 'began_with' then worth_micros end), 0) as begin_micros,
        max(case when step = 'ended_with' then worth_micros end) as end_micros,
        max(case when step = 'ended_with' then standing end) as standing
    from steps
    where account is not null
    group by season, account
),

granted as (
    select
        turns.season,
        grants.account,
        sum(grants.amount_micros) as granted_micros
    from turns
    inner join {{ ref('stg_mbp__grants') }} as grants
        on grants.step = 'granted' and grants.seq > turns.begun_seq and grants.seq < turns.ended_seq
    group by turns.season, grants.account
),

profits as (
    select
        counted.season,
        counted.account,
        counted.standing,
        turns.ended_at,
        counted.begin_micros,
        coalesce(granted.granted_micros, 0) as granted_micros,
        counted.end_micros,
        counted.end_micros - counted.begin_micros - coalesce(granted.granted_micros, 0) as profit_micros
    from counted
    inner join turns on counted.season = turns.season
    left join granted on counted.season = granted.season and counted.account = granted.account
    where counted.end_micros is not null
),

ranks as (
    select
        season,
        account,
        rank() over (partition by season order by profit_micros desc) as profit_rank
    from profits
    where standing = 'ranked' and profit_micros <> 0
)

select
    profits.season,
    profits.account,
    cast(ranks.profit_rank as bigint) as profit_rank,
    cast(profits.profit_micros as bigint) as profit_micros,
    profits.begin_micros,
    cast(profits.granted_micros as bigint) as granted_micros,
    profits.end_micros,
    profits.standing,
    profits.ended_at
from profits
left join ranks on profits.season = ranks.season and profits.account = ranks.account
