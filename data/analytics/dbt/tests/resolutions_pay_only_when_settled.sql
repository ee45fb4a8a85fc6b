-- Credits move only in the phase settled.
select *
from {{ ref('stg_mbp__resolutions') }}
where (payout_micros > 0 or accounts_paid > 0) and phase <> 'settled'
