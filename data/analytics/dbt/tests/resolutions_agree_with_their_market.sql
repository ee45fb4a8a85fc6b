-- The state of a market and the phase of its end say the same, and so do the ways
-- in which both say that it ends.
select
    markets.market,
    markets.state,
    markets.ending as market_ending,
    resolutions.phase,
    resolutions.ending
from {{ ref('mbp_markets') }} as markets
left join {{ ref('mbp_resolutions') }} as resolutions on markets.market = resolutions.market
where (
        case coalesce(resolutions.phase, 'none')
            when 'proposed' then markets.state = 'proposed'
            when 'approved' then markets.state = 'proposed'
            when 'disputed' then markets.state = 'disputed'
            when 'started' then markets.state = 'settling'
            when 'canceled' then markets.state = 'settling'
            when 'settled' then markets.state in ('settling', case when resolutions.ending in ('price', 'refund') then 'canceled' else 'resolved' end)
            else markets.state in ('draft', 'open', 'paused', 'frozen', 'closed')
        end
        and markets.ending is not distinct from resolutions.ending
    ) is not true
