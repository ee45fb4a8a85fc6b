-- A price is the other outcome's share of the pools, to the nearest ppm; the
-- constant product has no other.
with priced as (
    select
        *,
        cast(case outcome when 'YES' then pool_no_micros else pool_yes_micros end as hugeint) as other_micros,
        cast(pool_yes_micros as hugeint) + pool_no_micros as sum_micros
    from {{ ref('stg_mbp__quotes') }}
)

select *
from priced
where abs(price_micros * sum_micros - 1000000 * other_micros) > sum_micros
    and price_micros between 2 and 999998 -- the ends are clamped
