-- Grain: customer_id x as_of_date. How regularly the customer bought before the date. Sums are of whole
-- seconds; each mean and deviation is one division at the end.
with
    spine as (select * from {{ ref("int_spine") }} where {{ is_wanted("as_of_date") }}),

    gaps as (select * from {{ ref("int_purchase_gaps") }} where {{ is_wanted("as_of_date") }}),

    summed as (
        select
            customer_id,
            as_of_date,
            count(gap_seconds) as gap_count,
            sum({{ wide("gap_seconds") }}) as total_seconds,
            sum({{ wide("gap_seconds") }} * {{ wide("gap_seconds") }}) as squared_seconds,
            min(gap_seconds) as min_seconds,
            max(gap_seconds) as max_seconds,
            max(ordered_at) as last_ordered_at
        from gaps
        group by customer_id, as_of_date
    ),

    measured as (
        select
            customer_id,
            as_of_date,
            gap_count,
            {{ ratio("total_seconds", "gap_count") }} as mean_seconds,
            {{ sample_std("gap_count", "total_seconds", "squared_seconds") }} as std_seconds,
            min_seconds,
            max_seconds,
            {{ seconds_between("last_ordered_at", "as_of_date") }} as recency_seconds
        from summed
    )

select
    spine.customer_id,
    spine.as_of_date,
    measured.mean_seconds / 86400.0e0 as interval_mean_days,
    measured.std_seconds / 86400.0e0 as interval_std_days,
    cast(measured.min_seconds as double) / 86400.0e0 as interval_min_days,
    cast(measured.max_seconds as double) / 86400.0e0 as interval_max_days,
    {{ ratio("measured.std_seconds", "measured.mean_seconds") }} as interval_cv,
    1.0e0 / (1.0e0 + {{ ratio("measured.std_seconds", "measured.mean_seconds") }}) as regularity_index,
    {{ ratio("measured.recency_seconds", "measured.mean_seconds") }} as overdue_ratio,
    spine.build_hash
from spine
left join measured on measured.customer_id = spine.customer_id and measured.as_of_date = spine.as_of_date
