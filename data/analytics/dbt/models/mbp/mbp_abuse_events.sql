-- One row per decision, account and rule that was tripped, with how often and how soon the account did it before.
select
    seq,
    account,
    other_account,
    market,
    rule,
    severity,
    case severity when 'low' then 1 when 'medium' then 2 when 'high' then 3 end as severity_rank,
    action,
    observed,
    bound,
    observed - bound as excess,
    events,
    row_number() over (partition by account, rule order by seq) as offence_number,
    {{ dbt.datediff('lag(decided_at) over (partition by account, rule order by seq)', 'decided_at', 'second') }} as seconds_since_previous,
    decided_at
from {{ ref('stg_mbp__abuse_events') }}
