-- Grain: one row per segmentation and segment: what a group of customers is worth together. Its interval is
-- not a sum of
-- bounds: customers' own errors even out over a group, the error of the shop's total does not. The trend
-- compares like with
-- like: today's members of the group, those of them who were predicted on the previous scoring date too, at
-- both dates.
with
    customers as (select * from {{ ref("customer_clv") }}),

    predictions as (select * from {{ ref("customer_predictions") }}),

    bins as (select * from {{ ref("calibration") }}),

    segments as (select * from {{ ref("customer_segments") }}),

    history as (select * from {{ ref("customer_clv_history") }} where is_comparable),

    today as (select max(as_of_date) as as_of_date from customers),

    previous_date as (
        select max(history.as_of_date) as as_of_date
        from history
        inner join today on history.as_of_date < today.as_of_date
    ),

    previous as (
        select history.customer_id, history.as_of_date, history.clv_predicted, history.model_version
        from history
        inner join previous_date on previous_date.as_of_date = history.as_of_date
    ),

    spread as (
        select
            customers.customer_id,
            customers.as_of_date,
            customers.behavior_type,
            segments.rfm_segment,
            segments.value_tier,
            customers.clv_estimate,
            predictions.clv_predicted,
            predictions.clv_predicted
            * bins.ratio_sd
            * predictions.clv_predicted
            * bins.ratio_sd as own_variance,
            bins.level_log_sd,
            bins.coverage,
            coalesce(cast(segments.value_score as string), 'none') as value_fifth,
            previous.clv_predicted as previous_predicted,
            case when previous.model_version <> predictions.model_version then 1 else 0 end as is_other_model
        from customers
        inner join segments on segments.customer_id = customers.customer_id
        left join
            predictions
            on predictions.customer_id = customers.customer_id
            and predictions.as_of_date = customers.as_of_date
            and predictions.model_version = customers.clv_model_version
        left join
            bins
            on bins.bin_number = predictions.calibration_bin
            and bins.model_version = predictions.model_version
        left join previous on previous.customer_id = customers.customer_id
    ),

    grouped as (
        select spread.*, 'all' as segmentation, 'all' as segment
        from spread
        union all
        select spread.*, 'behavior_type' as segmentation, behavior_type as segment
        from spread
        union all
        select spread.*, 'value_fifth' as segmentation, value_fifth as segment
        from spread
        union all
        select spread.*, 'rfm_segment' as segmentation, rfm_segment as segment
        from spread
        union all
        select spread.*, 'value_tier' as segmentation, value_tier as segment
        from spread
    ),

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
            sum(
                case when clv_predicted is not null and previous_predicted is not null then 1 else 0 end
            ) as compared_count,
            sum(case when previous_predicted is not null then {{ whole("clv_predicted * 100.0E0") }} end)
            / 100.0e0 as compared_total,
            sum(case when clv_predicted is not null then {{ whole("previous_predicted * 100.0E0") }} end)
            / 100.0e0 as compared_total_before,
            max(is_other_model) as is_other_model
        from grouped
        group by segmentation, segment
    ),

    with_base as (
        select
            summed.*,
            sum(customer_count) over (partition by segmentation) as all_customers,
            sum(estimate_total) over (partition by segmentation) as all_total
        from summed
    )

select
    cast(with_base.segmentation as string) as segmentation,
    cast(with_base.segment as string) as segment,
    with_base.as_of_date,
    cast(with_base.customer_count as bigint) as customer_count,
    {{ ratio("with_base.customer_count", "with_base.all_customers") }} as customer_share,
    cast(with_base.estimate_total as decimal(18, 2)) as estimate_total,
    {{ ratio("with_base.estimate_total", "with_base.all_total") }} as estimate_share,
    cast(with_base.predicted_total as double) as predicted_total,
    cast(
        -- greatest() reads NULL as absent, so that without a model it would say zero
        case
            when predicted_total is not null and own_variance is not null
            then
                greatest(
                    0.0e0,
                    predicted_total
                    - {{ normal_quantile("coverage") }}
                    * sqrt(own_variance + level_log_sd * level_log_sd * predicted_total * predicted_total)
                )
        end as double
    ) as predicted_total_low,
    cast(
        predicted_total
        + {{ normal_quantile("coverage") }}
        * sqrt(own_variance + level_log_sd * level_log_sd * predicted_total * predicted_total) as double
    ) as predicted_total_high,
    previous_date.as_of_date as previous_as_of_date,
    cast(with_base.compared_count as bigint) as compared_count,
    cast(with_base.compared_total as double) as compared_total,
    cast(with_base.compared_total_before as double) as compared_total_before,
    {{ ratio("with_base.compared_total", "with_base.compared_total_before") }} - 1.0e0 as trend,
    cast(with_base.is_other_model = 1 as boolean) as is_other_model
from with_base
cross join previous_date
