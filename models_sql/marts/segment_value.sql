-- Grain: one row per segmentation and segment: what a group of customers is worth together. Its interval is not a sum of
-- bounds: customers' own errors even out over a group, the error of the shop's total does not.
with
    customers as (select * from {{ ref("customer_clv") }}),

    predictions as (select * from {{ ref("customer_predictions") }}),

    bins as (select * from {{ ref("calibration") }}),

    spread as (
        select
            customers.customer_id,
            customers.as_of_date,
            customers.behavior_type,
            customers.clv_estimate,
            predictions.clv_predicted,
            predictions.clv_predicted
            * bins.ratio_sd
            * predictions.clv_predicted
            * bins.ratio_sd as own_variance,
            bins.level_log_sd,
            bins.coverage,
            ntile(5) over (order by customers.clv_estimate, customers.customer_id) as value_fifth
        from customers
        left join
            predictions
            on predictions.customer_id = customers.customer_id
            and predictions.as_of_date = customers.as_of_date
            and predictions.model_version = customers.clv_model_version
        left join bins on bins.bin_number = predictions.calibration_bin and bins.model_version = predictions.model_version
    ),

    grouped as (
        select spread.*, 'all' as segmentation, 'all' as segment
        from spread
        union all
        select spread.*, 'behavior_type' as segmentation, behavior_type as segment
        from spread
        union all
        select spread.*, 'value_fifth' as segmentation, cast(value_fifth as string) as segment
        from spread
    ),

    summed as (
        select
            segmentation,
            segment,
            max(as_of_date) as as_of_date,
            count(*) as customer_count,
            sum(clv_estimate) as estimate_total,
            sum(cast(round(clv_predicted * 100.0E0) as bigint)) / 100.0E0 as predicted_total,
            sum({{ whole("own_variance * 100.0E0") }}) / 100.0E0 as own_variance,
            max(level_log_sd) as level_log_sd,
            max(coverage) as coverage
        from grouped
        group by segmentation, segment
    )

select
    cast(segmentation as string) as segmentation,
    cast(segment as string) as segment,
    as_of_date,
    cast(customer_count as bigint) as customer_count,
    cast(estimate_total as decimal(18, 2)) as estimate_total,
    cast(
        greatest(
            0.0E0,
            predicted_total
            - {{ normal_quantile("coverage") }}
            * sqrt(own_variance + level_log_sd * level_log_sd * predicted_total * predicted_total)
        ) as double
    ) as predicted_total_low,
    cast(
        predicted_total
        + {{ normal_quantile("coverage") }}
        * sqrt(own_variance + level_log_sd * level_log_sd * predicted_total * predicted_total) as double
    ) as predicted_total_high
from summed
