-- One row per market with a step towards its end: its latest attempt. A proposal
-- begins an attempt; what comes before the first one is attempt 0.
with steps as (
    select
        *,
        {{ phase_rank() }} as place,
        sum(case when phase = 'proposed' then 1 else 0 end) over (
            partition by market
            order by seq, {{ phase_rank() }}
            rows between unbounded preceding and current row
        ) as attempt
    from {{ ref('stg_mbp__resolutions') }}
),

numbered as (
    select
        *,
        max(attempt) over (partition by market) as attempts,
        sum(case when phase = 'reported' then 1 else 0 end) over (partition by market) as reports,
        row_number() over (partition by market order by seq desc, place desc) as nth_last,
        case
            when phase in ('approved', 'rejected')
                then row_number() over (partition by market, case when phase in ('approved', 'rejected') then 1 else 0 end order by seq desc)
        end as nth_judged
    from steps
),

latest as (
    select
        market,
        max(attempts) as attempts,
        max(reports) as reports,
        {{ from_row('phase', 'nth_last') }} as phase,
        {{ from_row('ending', 'nth_last') }} as ending,
        max(case when phase = 'proposed' then outcome end) as proposed_outcome,
        max(case when phase = 'proposed' then value end) as proposed_value,
        max(case when phase = 'proposed' then evidence_sha256 end) as proposed_evidence,
        max(case when phase = 'canceled' then outcome end) as canceled_outcome,
        max(case when phase = 'canceled' then evidence_sha256 end) as canceled_evidence,
        max(case when phase = 'proposed' then effective_at end) as effective_at,
        max(case when phase = 'proposed' then principal end) as proposed_by,
        {{ from_row('principal', 'nth_judged') }} as judged_by,
        sum(case when phase = 'approved' then 1 else 0 end) as approvals,
        sum(case when phase = 'disputed' then 1 else 0 end) as disputes,
        max(case when phase = 'proposed' then decided_at end) as proposed_at,
        max(case when phase in ('approved', 'rejected') then decided_at end) as judged_at,
        max(case when phase in ('started', 'canceled') then decided_at end) as started_at,
        max(case when step = 'pay' then decided_at end) as settled_at,
        sum(payout_micros) as payout_micros,
        sum(accounts_paid) as accounts_paid,
        sum(recovered_micros) as recovered_micros,
        sum(case when phase = 'settled' then 1 else 0 end) as settlements,
        max(seq) as last_seq
    from numbered
    where attempt = attempts
    group by market
)

select
    market,
    cast(attempts as bigint) as attempts,
    cast(reports as bigint) as reports,
    phase,
    ending,
    coalesce(canceled_outcome, proposed_outcome) as outcome,
    case when canceled_outcome is null then proposed_value end as value,
    coalesce(canceled_evidence, proposed_evidence) as evidence_sha256,
    case when canceled_outcome is null then effective_at end as effective_at,
    proposed_by,
    judged_by,
    cast(approvals as bigint) as approvals,
    cast(disputes as bigint) as disputes,
    proposed_at,
    judged_at,
    started_at,
    settled_at,
    {{ dbt.datediff('started_at', 'settled_at', 'second') }} as seconds_to_settle,
    cast(payout_micros as bigint) as payout_micros,
    cast(accounts_paid as bigint) as accounts_paid,
    cast(recovered_micros as bigint) as recovered_micros,
    cast(settlements as bigint) as settlements,
    last_seq
from latest
