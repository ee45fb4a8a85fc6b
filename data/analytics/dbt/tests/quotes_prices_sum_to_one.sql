-- The prices of a market's outcomes are one credit together: a new market has a
-- price for each, and what a decision adds to some it takes from others.
with changes as (
    select
        market,
        outcome,
        seq,
        price_micros,
        lag(price_micros) over (partition by market, outcome order by seq) as price_before
    from {{ ref('stg_mbp__quotes') }}
),

decisions as (
    select
        market,
        seq,
        sum(price_micros - coalesce(price_before, 0)) as sum_micros,
        count(*) as priced,
        max(case when price_before is null then 1 else 0 end) as opening
    from changes
    group by market, seq
),

sizes as (
    select
        market,
        max(outcomes) as outcomes
    from {{ ref('stg_mbp__markets') }}
    group by market
)

select decisions.*
from decisions
left join sizes on decisions.market = sizes.market
where decisions.sum_micros <> 1000000 * decisions.opening
    or decisions.priced < 2
    or (decisions.opening = 1 and decisions.priced <> sizes.outcomes)
