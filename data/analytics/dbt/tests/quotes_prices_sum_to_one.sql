-- The prices of a market's outcomes are one credit together, in every decision
-- that changed them.
select
    market,
    seq,
    sum(price_micros) as sum_micros,
    count(*) as outcomes
from {{ ref('stg_mbp__quotes') }}
group by market, seq
having sum(price_micros) <> 1000000 or count(*) <> 2
