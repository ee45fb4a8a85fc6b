-- Credits move only in the phase settled: they are recovered where what is due is
-- collected, and paid in the steps after it.
select *
from {{ ref('stg_mbp__resolutions') }}
where (
        (payout_micros = 0 and accounts_paid = 0 or step = 'pay')
        and (recovered_micros = 0 or step = 'collect')
        and (step is null) = (phase <> 'settled')
    ) is not true
