-- Grain: check_name x subject x source: what arrived, how fresh it is, how much against the usual, what was
-- refused and lost, what guests brought, what stands twice. `status` says which deserve a look.
with
    today as (select * from {{ ref("int_today") }}),

    checks as (
        select *
        from {{ ref("freshness_checks") }}
        union all
        select *
        from {{ ref("volume_checks") }}
        union all
        select *
        from {{ ref("quarantine_checks") }}
        union all
        select *
        from {{ ref("loss_checks") }}
        union all
        select *
        from {{ ref("duplicate_checks") }}
    )

select
    checks.check_name,
    checks.subject,
    checks.source,
    today.as_of_date,
    checks.measured_value,
    checks.usual_value,
    checks.newest_at,
    cast(
        case
            when
                checks.check_name = 'duplicates'
                and checks.subject = 'events with the id of another'
                and checks.measured_value > 0
            then 'fail'
            when checks.check_name = 'duplicates' and checks.measured_value > {{ setting("alike_share") }}
            then 'warn'
            when checks.check_name = 'freshness' and checks.measured_value > checks.usual_value
            then 'warn'
            when checks.check_name = 'loss' and checks.measured_value > {{ setting("quarantine_share") }}
            then 'warn'
            -- beyond the factor, and beyond what chance alone does to a count
            when
                checks.check_name = 'volume'
                and (
                    checks.measured_value * {{ setting("volume_factor") }} < checks.usual_value
                    or checks.measured_value > checks.usual_value * {{ setting("volume_factor") }}
                )
                and abs(checks.measured_value - checks.usual_value)
                > {{ chance_deviations() }} * sqrt(greatest(checks.measured_value, checks.usual_value))
            then 'warn'
            else 'ok'
        end as string
    ) as status
from checks
cross join today
