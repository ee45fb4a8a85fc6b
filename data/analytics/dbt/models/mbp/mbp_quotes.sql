-- One row per market, outcome and minute in which its price changed: the first,
-- highest, lowest and last price, and pools, TWAP, depth and the best waiting orders
-- at the end.
with quotes as (
    select
        *,
        {{ dbt.date_trunc('minute', 'decided_at') }} as minute_at
    from {{ ref('stg_mbp__quotes') }}
),

numbered as (
    select
        *,
        row_number() over (partition by market, outcome, minute_at order by seq) as nth,
        row_number() over (partition by market, outcome, minute_at order by seq desc) as nth_last
    from quotes
)

select
    market,
    outcome,
    minute_at,
    {{ from_row('price_micros', 'nth') }} as open_price_micros,
    max(price_micros) as high_price_micros,
    min(price_micros) as low_price_micros,
    {{ from_row('price_micros', 'nth_last') }} as close_price_micros,
    {{ from_row('twap_micros', 'nth_last') }} as twap_micros,
    {{ from_row('depth_micros', 'nth_last') }} as depth_micros,
    {{ from_row('best_bid_micros', 'nth_last') }} as best_bid_micros,
    {{ from_row('best_ask_micros', 'nth_last') }} as best_ask_micros,
    {{ from_row('pool_micros', 'nth_last') }} as pool_micros,
    {{ from_row('pool_yes_micros', 'nth_last') }} as pool_yes_micros,
    {{ from_row('pool_no_micros', 'nth_last') }} as pool_no_micros,
    count(*) as quotes,
    min(seq) as first_seq,
    max(seq) as last_seq
from numbered
group by market, outcome, minute_at
