-- One row per market that was ever proposed for resolution: its latest attempt.
-- A rejected proposal ends an attempt, the next proposal begins another.
with steps as (
    select
        *,
        sum(case when phase = 'proposed' then 1 else 0 end) over (
            partition by market
            order by seq
            groups between unbounded preceding and current row
        ) as attempt
    from {{ ref('stg_mbp__resolutions') }}
),

numbered as (
    select
        *,
        max(attempt) over (partition by market) as attempts,
        row_number() over (partition by market order by seq desc) as nth_last
    from steps
),

latest as (
    select
        market,
        max(attempts) as attempts,
        {{ from_row('phase', 'nth_last') }} as phase,
        max(case when phase = 'proposed' then outcome end) as outcome,
        max(case when phase = 'proposed' then evidence_sha256 end) as evidence_sha256,
        max(case when phase = 'proposed' then principal end) as proposed_by,
        max(case when phase in ('approved', 'rejected') then principal end) as judged_by,
        max(case when phase = 'proposed' then decided_at end) as proposed_at,
        max(case when phase in ('approved', 'rejected') then decided_at end) as judged_at,
        max(case when phase = 'settled' then decided_at end) as settled_at,
        sum(payout_micros) as payout_micros,
        sum(accounts_paid) as accounts_paid,
        sum(case when phase = 'settled' then 1 else 0 end) as settlements,
        max(seq) as last_seq
    from numbered
    where attempt = attempts
    group by market
)

select
    market,
    cast(attempts as bigint) as attempts,
    phase,
    outcome,
    evidence_sha256,
    proposed_by,
    judged_by,
    proposed_at,
    judged_at,
    settled_at,
    {{ dbt.datediff('proposed_at', 'settled_at', 'second') }} as seconds_to_settle,
    cast(payout_micros as bigint) as payout_micros,
    cast(accounts_paid as bigint) as accounts_paid,
    cast(settlements as bigint) as settlements,
    last_seq
from latest
