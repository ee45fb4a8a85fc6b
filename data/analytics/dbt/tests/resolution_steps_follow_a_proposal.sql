-- Each step of a resolution follows the step it needs, with the outcome and the
-- evidence of its proposal.
with steps as (
    select
        *,
        lag(phase) over (partition by market order by seq) as before,
        lag(outcome) over (partition by market order by seq) as outcome_before,
        lag(evidence_sha256) over (partition by market order by seq) as evidence_before
    from {{ ref('stg_mbp__resolutions') }}
)

select *
from steps
where coalesce(before, 'none') || ' ' || phase not in (
        'none proposed', 'rejected proposed', 'proposed rejected', 'proposed approved', 'approved settled', 'settled settled'
    )
    or (phase <> 'proposed' and (outcome <> outcome_before or evidence_sha256 <> evidence_before))
