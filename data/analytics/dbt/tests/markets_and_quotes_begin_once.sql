-- op is c for the first row of a market or a quote, and for no other.
with entities as (
    select 'market' as entity, market, '' as outcome, seq, op
    from {{ ref('stg_mbp__markets') }}
    union all
    select 'quote' as entity, market, outcome, seq, op
    from {{ ref('stg_mbp__quotes') }}
),

numbered as (
    select
        *,
        rank() over (partition by entity, market, outcome order by seq) as nth
    from entities
)

select *
from numbered
where (op = 'c') <> (nth = 1)
