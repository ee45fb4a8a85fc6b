-- Nobody approves a proposal of their own, and nobody approves one twice.
with steps as (
    select
        *,
        sum(case when phase = 'proposed' then 1 else 0 end) over (
            partition by market
            order by seq, {{ phase_rank() }}
            rows between unbounded preceding and current row
        ) as attempt
    from {{ ref('stg_mbp__resolutions') }}
)

select
    market,
    attempt,
    principal
from steps
where phase in ('proposed', 'approved')
group by market, attempt, principal
having count(*) > 1
