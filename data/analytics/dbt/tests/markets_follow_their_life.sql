-- A market's states follow one another as the engine allows: open and paused
-- alternate, either leads to proposed, that to paused or settling, that to
-- resolved, and nothing follows.
with steps as (
    select
        market,
        seq,
        state,
        lag(state) over (partition by market order by seq) as before
    from {{ ref('stg_mbp__markets') }}
)

select *
from steps
where coalesce(before, 'none') || ' ' || state not in (
    'none open', 'open paused', 'paused open', 'open proposed', 'paused proposed',
    'proposed paused', 'proposed settling', 'settling resolved'
)
