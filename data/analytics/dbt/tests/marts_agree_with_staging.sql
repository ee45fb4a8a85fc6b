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
)

select *
from totals
where in_lake is distinct from in_mart
