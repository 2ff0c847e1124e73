-- Grain: one row per segmentation and segment: what a group of customers is worth together. Its interval
-- is not a sum of bounds: customers' own errors even out over a group, the error of the shop's total does
-- not. The trend compares like with like: today's members of the group, those of them who were predicted
-- on the previous scoring date too, at both dates.
with
    members as (select * from {{ ref("segment_members") }}),

    summed as (
        select
            segmentation,
            segment,
            max(as_of_date) as as_of_date,
            count(*) as customer_count,
            sum(clv_estimate) as estimate_total,
            sum(cast(round(clv_predicted * 100.0e0) as bigint)) / 100.0e0 as predicted_total,
            sum({{ whole("own_variance * 100.0E0") }}) / 100.0e0 as own_variance,
            max(level_log_sd) as level_log_sd,
            max(coverage) as coverage,
            max(previous_as_of_date) as previous_as_of_date,
            sum(
                case when clv_predicted is not null and previous_predicted is not null then 1 else 0 end
            ) as compared_count,
            sum(case when previous_predicted is not null then {{ whole("clv_predicted * 100.0E0") }} end)
            / 100.0e0 as compared_total,
            sum(case when clv_predicted is not null then {{ whole("previous_predicted * 100.0E0") }} end)
            / 100.0e0 as compared_total_before,
            max(case when is_other_model then 1 else 0 end) as is_other_model
        from members
        group by segmentation, segment
    ),

    -- customers' own errors, and the one that all of them share
    uncertain as (
        select
            summed.*,
            sum(customer_count) over (partition by segmentation) as all_customers,
            sum(estimate_total) over (partition by segmentation) as all_total,
            {{ normal_quantile("coverage") }} * sqrt(
                own_variance + level_log_sd * level_log_sd * predicted_total * predicted_total
            ) as half_width
        from summed
    )

select
    segmentation,
    segment,
    as_of_date,
    cast(customer_count as bigint) as customer_count,
    {{ ratio("customer_count", "all_customers") }} as customer_share,
    cast(estimate_total as decimal(18, 2)) as estimate_total,
    {{ ratio("estimate_total", "all_total") }} as estimate_share,
    cast(predicted_total as double) as predicted_total,
    cast(
        -- greatest() reads NULL as absent, so that without a model it would say zero
        case
            when predicted_total is not null and own_variance is not null
            then greatest(0.0e0, predicted_total - half_width)
        end as double
    ) as predicted_total_low,
    cast(predicted_total + half_width as double) as predicted_total_high,
    previous_as_of_date,
    cast(compared_count as bigint) as compared_count,
    cast(compared_total as double) as compared_total,
    cast(compared_total_before as double) as compared_total_before,
    {{ ratio("compared_total", "compared_total_before") }} - 1.0e0 as trend,
    is_other_model = 1 as is_other_model
from uncertain
