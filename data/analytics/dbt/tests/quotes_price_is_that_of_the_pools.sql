-- A price is that of the pools, to the nearest ppm; the fixed product has no
-- other. Of two outcomes it is the other one's share of both pools. Of many, the
-- prices are as the inverses of the pools, so price times pool is the same for
-- all outcomes; the rows of a decision are held against its lowest price. Where
-- prices were lifted to 1 ppm, the highest one bears it.
with priced as (
    select
        *,
        cast(case when outcome in ('YES', 'LONG') then pool_no_micros else pool_yes_micros end as hugeint) as other_micros,
        cast(pool_yes_micros as hugeint) + pool_no_micros as sum_micros,
        case when outcome in ('YES', 'LONG') then pool_yes_micros else pool_no_micros end as own_micros
    from {{ ref('stg_mbp__quotes') }}
    where outcome in ('YES', 'NO', 'LONG', 'SHORT')
),

many as (
    select
        *,
        max(case when price_micros = 1 then 64 else 1 end) over (partition by market) as lifted
    from {{ ref('stg_mbp__quotes') }}
    where outcome not in ('YES', 'NO', 'LONG', 'SHORT')
),

compared as (
    select
        seq,
        market,
        outcome,
        cast(pool_micros as hugeint) as pool_micros,
        price_micros,
        first_value(cast(pool_micros as hugeint)) over cheapest as lowest_pool_micros,
        first_value(price_micros) over cheapest as lowest_price_micros,
        case when price_micros = max(price_micros) over (partition by market, seq) then lifted else 1 end as tolerance
    from many
    where price_micros > 1
    window cheapest as (partition by market, seq order by price_micros, outcome)
)

select seq, market, outcome, price_micros
from priced
where pool_micros <> own_micros
    or (
        abs(price_micros * sum_micros - 1000000 * other_micros) > sum_micros
        and price_micros between 2 and 999998 -- the ends are clamped
    )
union all
select seq, market, outcome, price_micros
from compared
where abs(price_micros * pool_micros - lowest_price_micros * lowest_pool_micros) > tolerance * pool_micros + lowest_pool_micros
