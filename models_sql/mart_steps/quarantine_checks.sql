-- Grain: subject x source: the share of all rows that arrived which was refused, over all reasons and for
-- each one. By file (source) only what was refused lately, or the table would grow for ever.
with
    events as (select * from {{ ref("stg_events") }}),

    admitted as (select * from {{ source("raw", "admitted") }}),

    -- what a later feed admitted is refused no more
    quarantine as (
        select refused.*
        from {{ source("raw", "quarantine") }} as refused
        left join admitted on admitted.quarantine_id = refused.quarantine_id
        where admitted.quarantine_id is null
    ),

    arrived as (
        select kept.row_count + refused.row_count as row_count, refused.newest_at
        from (select count(*) as row_count from events) as kept
        cross join (select count(*) as row_count, max(quarantined_at) as newest_at from quarantine) as refused
    ),

    refused as (
        select 'all reasons' as subject, cast(null as string) as source, quarantined_at
        from quarantine
        union all
        select reason as subject, cast(null as string) as source, quarantined_at
        from quarantine
        union all
        select quarantine.reason as subject, quarantine.source, quarantine.quarantined_at
        from quarantine
        inner join
            arrived
            on quarantine.quarantined_at > arrived.newest_at - interval '{{ refused_days_listed() }} days'
    )

select
    cast('quarantine' as string) as check_name,
    cast(refused.subject as string) as subject,
    refused.source,
    {{ ratio("count(*)", "max(arrived.row_count)") }} as measured_value,
    cast(null as double) as usual_value,
    cast(max(refused.quarantined_at) as timestamp) as newest_at
from refused
cross join arrived
group by refused.subject, refused.source
