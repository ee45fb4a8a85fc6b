-- Each step of a market's end follows the step it needs, with the outcome and the
-- evidence of its proposal or cancellation; an objection has evidence of its own.
with steps as (
    select
        *,
        {{ phase_rank() }} as place,
        case when phase in ('proposed', 'canceled') then outcome end as new_outcome,
        case when phase in ('proposed', 'canceled') then evidence_sha256 end as new_evidence
    from {{ ref('stg_mbp__resolutions') }}
),

ordered as (
    select
        *,
        lag(phase) over (partition by market order by seq, place) as before,
        last_value(new_outcome ignore nulls) over (partition by market order by seq, place rows between unbounded preceding and current row) as named_outcome,
        last_value(new_evidence ignore nulls) over (partition by market order by seq, place rows between unbounded preceding and current row) as named_evidence
    from steps
)

select *
from ordered
where coalesce(before, 'none') || ' ' || phase not in (
        'none reported', 'reported reported', 'rejected reported',
        'none proposed', 'reported proposed', 'rejected proposed', 'disputed proposed',
        'proposed approved', 'approved approved',
        'proposed rejected', 'approved rejected', 'disputed rejected',
        'proposed disputed', 'approved disputed',
        'proposed started', 'approved started',
        'none canceled', 'reported canceled', 'proposed canceled', 'approved canceled', 'rejected canceled', 'disputed canceled',
        'started settled', 'canceled settled', 'settled settled'
    )
    or (phase <> 'reported' and outcome is distinct from named_outcome)
    or (phase not in ('reported', 'disputed') and evidence_sha256 is distinct from named_evidence)
