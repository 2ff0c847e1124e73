-- Grain: as_of_date x estimator: what was predicted on an earlier scoring date against what then
-- happened, for dates whose whole horizon lies within the data. The model (its mean and its
-- median) and every baseline.
with
    estimates as (select * from {{ ref("past_estimates") }}),

    summed as (
        select
            as_of_date,
            estimator,
            max(model_version) as model_version,
            count(*) as customers,
            cast(sum({{ whole("100.0E0 * predicted") }}) as decimal(28, 0)) * 0.01 as predicted_total,
            sum(actual_revenue) as actual_total,
            cast(sum({{ whole("100.0E0 * abs(predicted - actual_revenue)") }}) as decimal(28, 0))
            * 0.01 as error_total,
            {{ ratio("sum(is_inside)", "count(is_inside)") }} as interval_coverage,
            {{ ratio("sum(is_above)", "count(is_above)") }} as above_high_share,
            sum({{ whole("1000000.0E0 * confidence") }}) as confidence_millionths,
            count(confidence) as confidence_count,
            {{ ratio("sum(is_hit)", "count(is_hit)") }} as confidence_hit_rate,
            sum({{ whole("1000000.0E0 * churn") }}) as churn_millionths,
            count(churn) as churn_count,
            {{ ratio("sum(is_churned)", "count(is_churned)") }} as churn_observed
        from estimates
        group by as_of_date, estimator
        having count(predicted) = count(*)
    ),

    measured as (
        select
            summed.*,
            case
                when predicted_total > 0 and actual_total > 0
                then round(ln({{ ratio("predicted_total", "actual_total") }}), 9)
            end as bias,
            {{ ratio("error_total", "customers") }} as mae,
            case when actual_total > 0 then {{ ratio("error_total", "actual_total") }} end as nmae
        from summed
    )

select
    measured.as_of_date,
    cast(measured.estimator as string) as estimator,
    measured.model_version,
    cast(measured.customers as bigint) as customers,
    cast(measured.predicted_total as decimal(18, 2)) as predicted_total,
    cast(measured.actual_total as decimal(18, 2)) as actual_total,
    measured.bias,
    measured.mae,
    measured.nmae,
    measured.nmae / nullif(
        min(case when measured.estimator not in ('model', 'typical') then measured.nmae end) over (
            partition by measured.as_of_date
        ),
        0.0e0
    ) as nmae_to_best_baseline,
    measured.interval_coverage,
    measured.above_high_share,
    {{ ratio("measured.confidence_millionths", "1000000 * measured.confidence_count") }} as confidence_stated,
    measured.confidence_hit_rate,
    {{ ratio("measured.churn_millionths", "1000000 * measured.churn_count") }} as churn_stated,
    measured.churn_observed
from measured
