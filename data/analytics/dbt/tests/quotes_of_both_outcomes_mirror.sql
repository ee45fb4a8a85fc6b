-- The bars of YES and NO, and of LONG and SHORT, are each other's mirror: every
-- open, high, low and close has its complement to one credit.
select
    yes.market,
    yes.minute_at
from (select * from {{ ref('mbp_quotes') }} where outcome in ('YES', 'LONG')) as yes
full outer join (select * from {{ ref('mbp_quotes') }} where outcome in ('NO', 'SHORT')) as no
    on yes.market = no.market and yes.minute_at = no.minute_at
where (
        yes.quotes = no.quotes
        and yes.open_price_micros + no.open_price_micros = 1000000
        and yes.high_price_micros + no.low_price_micros = 1000000
        and yes.low_price_micros + no.high_price_micros = 1000000
        and yes.close_price_micros + no.close_price_micros = 1000000
    ) is not true
