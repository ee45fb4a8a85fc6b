-- The state of a market and the phase of its resolution say the same.
select
    markets.market,
    markets.state,
    resolutions.phase
from {{ ref('mbp_markets') }} as markets
left join {{ ref('mbp_resolutions') }} as resolutions on markets.market = resolutions.market
where coalesce(resolutions.phase, 'none') || ' ' || markets.state not in (
    'none open', 'none paused', 'rejected open', 'rejected paused', 'proposed proposed',
    'approved settling', 'settled settling', 'settled resolved'
)
