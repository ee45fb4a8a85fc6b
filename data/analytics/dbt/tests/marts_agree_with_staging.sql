-- No mart loses or invents a row: the totals are those of the lake.
with totals as (
    select
        'markets' as what,
        (select count(distinct market) from {{ ref('stg_mbp__markets') }}) as in_lake,
        (select count(*) from {{ ref('mbp_markets') }}) as in_mart
    union all
    select
        'state changes' as what,
        (select count(*) from {{ ref('stg_mbp__markets') }}) as in_lake,
        (select sum(state_changes + 1) from {{ ref('mbp_markets') }}) as in_mart
    union all
    select
        'quotes' as what,
        (select count(*) from {{ ref('stg_mbp__quotes') }}) as in_lake,
        (select sum(quotes) from {{ ref('mbp_quotes') }}) as in_mart
    union all
    select
        'payouts' as what,
        (select sum(payout_micros) from {{ ref('stg_mbp__resolutions') }}) as in_lake,
        (select sum(payout_micros) from {{ ref('mbp_resolutions') }}) as in_mart
    union all
    select
        'recoveries' as what,
        (select sum(recovered_micros) from {{ ref('stg_mbp__resolutions') }}) as in_lake,
        (select sum(recovered_micros) from {{ ref('mbp_resolutions') }}) as in_mart
    union all
    select
        'abuse events' as what,
        (select count(*) from {{ ref('stg_mbp__abuse_events') }}) as in_lake,
        (select count(*) from {{ ref('mbp_abuse_events') }}) as in_mart
    union all
    select
        'grants' as what,
        (select coalesce(sum(amount_micros), 0) from {{ ref('stg_mbp__grants') }} where step = 'granted') as in_lake,
        (select coalesce(sum(granted_micros), 0) from {{ ref('mbp_grants') }}) as in_mart
    union all
    select
        'grants of schedules' as what,
        (select count(*) from {{ ref('stg_mbp__grants') }} where step = 'granted' and schedule is not null) as in_lake,
        (select coalesce(sum(grants), 0) from {{ ref('mbp_grant_schedules') }}) as in_mart
    union all
    select
        'groups' as what,
        (select coalesce(sum(case step when 'joined' then 1 else -1 end), 0) from {{ ref('stg_mbp__groups') }}) as in_lake,
        (select count(*) from {{ ref('mbp_groups') }}) as in_mart
    union all
    select
        'standings' as what,
        (select coalesce(sum(worth_micros), 0) from {{ ref('stg_mbp__seasons') }} where step = 'ended_with') as in_lake,
        (select coalesce(sum(end_micros), 0) from {{ ref('mbp_standings') }}) as in_mart
)

select *
from totals
where in_lake is distinct from in_mart
