-- One row per account or market and group that it is in, or allows or denies, now:
-- the last step of each was that it joined.
with steps as (
    select
        *,
        row_number() over (partition by subject, role, group_id order by seq desc) as nth_last
    from {{ ref('stg_mbp__groups') }}
)

select
    case when subject like 'acc%' then subject end as account,
    case when subject like 'mkt%' then subject end as market,
    subject,
    role,
    group_id,
    decided_at as since,
    seq as since_seq,
    principal as said_by
from steps
where nth_last = 1 and step = 'joined'
