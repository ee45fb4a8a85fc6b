-- Each step has the columns that it speaks of, and no others.
select *
from {{ ref('stg_mbp__grants') }}
where (step = 'granted') <> (account is not null)
    or (step in ('granted', 'set')) <> (amount_micros is not null)
    or (step = 'set') <> (every is not null)
    or (step = 'set') <> (groups is not null)
    or (step = 'begun') <> (accounts is not null)
    or (step <> 'set' and (cap_micros is not null or starts_at is not null or ends_at is not null))
    or (step <> 'granted' and schedule is null)
    or (step in ('set', 'begun') or step = 'granted' and schedule is not null) <> (period_at is not null)
