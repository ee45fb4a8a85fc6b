-- A market's states follow one another as the engine allows. A decision that
-- takes a market through several states has one row, so a report that completes
-- a quorum may lead from open to settling at once.
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
    'none draft', 'none open',
    'draft open', 'draft settling',
    'open paused', 'open frozen', 'open closed', 'open proposed', 'open settling',
    'paused open', 'paused closed', 'paused proposed', 'paused settling',
    'frozen open', 'frozen paused', 'frozen closed', 'frozen proposed', 'frozen settling',
    'closed proposed', 'closed settling',
    'proposed paused', 'proposed closed', 'proposed disputed', 'proposed settling',
    'disputed paused', 'disputed closed', 'disputed proposed', 'disputed settling',
    'settling resolved', 'settling canceled'
)
