-- Invariant I1 seen from the lake: a price changes only on a market that was open
-- before that decision. The decision that freezes a market is its last trade.
with lives as (
    select
        market,
        state,
        seq as from_seq,
        lead(seq) over (partition by market order by seq) as to_seq
    from {{ ref('stg_mbp__markets') }}
)

select
    quotes.market,
    quotes.seq,
    quotes.outcome,
    lives.state
from {{ ref('stg_mbp__quotes') }} as quotes
inner join lives
    on quotes.market = lives.market
    and quotes.seq > lives.from_seq
    and (quotes.seq <= lives.to_seq or lives.to_seq is null)
where lives.state <> 'open'
