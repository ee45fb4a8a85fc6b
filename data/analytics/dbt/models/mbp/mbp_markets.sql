-- One row per market: what it asks, where its life stands, and its last prices.
with rows_of_market as (
    select
        *,
        row_number() over (partition by market order by seq) as nth,
        row_number() over (partition by market order by seq desc) as nth_last
    from {{ ref('stg_mbp__markets') }}
),

markets as (
    select
        market,
        {{ from_row('template', 'nth_last') }} as template,
        {{ from_row('kind', 'nth_last') }} as kind,
        {{ from_row('title', 'nth_last') }} as title,
        {{ from_row('outcomes', 'nth_last') }} as outcomes,
        {{ from_row('value_min', 'nth_last') }} as value_min,
        {{ from_row('value_max', 'nth_last') }} as value_max,
        {{ from_row('state', 'nth_last') }} as state,
        {{ from_row('ending', 'nth_last') }} as ending,
        {{ from_row('creator', 'nth_last') }} as creator,
        {{ from_row('liquidity_micros', 'nth_last') }} as liquidity_micros,
        {{ from_row('close_at', 'nth_last') }} as close_at,
        {{ from_row('decided_at', 'nth') }} as opened_at,
        {{ from_row('seq', 'nth') }} as opened_seq,
        {{ from_row('decided_at', 'nth_last') }} as state_since,
        {{ from_row('seq', 'nth_last') }} as state_seq,
        count(*) - 1 as state_changes
    from rows_of_market
    group by market
),

quotes as (
    select
        *,
        row_number() over (partition by market, outcome order by seq desc) as nth_last
    from {{ ref('stg_mbp__quotes') }}
),

current_prices as (
    select
        *,
        row_number() over (partition by market order by price_micros desc, outcome) as nth_price
    from quotes
    where nth_last = 1
),

last_quotes as (
    select
        market,
        max(case when outcome in ('YES', 'LONG') then price_micros end) as yes_price_micros,
        max(case when outcome in ('NO', 'SHORT') then price_micros end) as no_price_micros,
        {{ from_row('outcome', 'nth_price') }} as leading_outcome,
        {{ from_row('price_micros', 'nth_price') }} as leading_price_micros,
        max(seq) as quote_seq,
        max(decided_at) as quoted_at
    from current_prices
    group by market
)

select
    markets.market,
    markets.template,
    markets.kind,
    markets.title,
    markets.outcomes,
    markets.value_min,
    markets.value_max,
    markets.state,
    markets.ending,
    markets.creator,
    markets.liquidity_micros,
    markets.close_at,
    markets.opened_at,
    markets.opened_seq,
    markets.state_since,
    markets.state_seq,
    markets.state_changes,
    last_quotes.yes_price_micros,
    last_quotes.no_price_micros,
    last_quotes.leading_outcome,
    last_quotes.leading_price_micros,
    last_quotes.quote_seq,
    last_quotes.quoted_at
from markets
left join last_quotes on markets.market = last_quotes.market
