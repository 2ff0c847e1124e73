-- Grain: as_of_date x estimator: what was said on an earlier scoring date against what then happened, for
-- dates whose whole
-- horizon lies within the data. The model (its mean and its typical value) beside every baseline.
{% set baselines = ["simple", "persistence", "empirical_bayes", "bgnbd", "paretonbd", "btyd"] %}

with
    delivered as (select max(occurred_at) as newest_at from {{ ref("int_events") }}),

    history as (select * from {{ ref("customer_clv_history") }} where actual_revenue is not null),

    baselines as (select * from {{ ref("scored_baselines") }}),

    -- as_of_date may be set to a day that the feed has not reached
    happened as (
        select history.*
        from history
        inner join
            delivered
            on {{ label_known_at("history.as_of_date") }}
            <= cast(delivered.newest_at as date) + interval '1 days'
    ),

    said as (
        select
            'model' as estimator,
            as_of_date,
            model_version,
            actual_revenue,
            clv_predicted as predicted,
            case
                when actual_revenue >= clv_low and actual_revenue <= clv_high
                then 1
                when clv_low is not null
                then 0
            end as is_inside,
            clv_prediction_confidence as confidence,
            case when {{ came_true("actual_revenue", "clv_predicted") }} then 1 else 0 end as is_hit,
            churn_probability as churn,
            case when actual_purchases = 0 then 1 else 0 end as is_churned
        from happened
        union all
        select
            'typical' as estimator,
            as_of_date,
            model_version,
            actual_revenue,
            clv_typical as predicted,
            null as is_inside,
            null as confidence,
            null as is_hit,
            null as churn,
            null as is_churned
        from happened
        {%- for baseline in baselines %}
            union all
            select
                '{{ baseline }}' as estimator,
                happened.as_of_date,
                happened.model_version,
                happened.actual_revenue,
                cast(baselines.{{ baseline }}_value as double) as predicted,
                null as is_inside,
                null as confidence,
                null as is_hit,
                null as churn,
                null as is_churned
            from happened
            left join
                baselines
                on baselines.customer_id = happened.customer_id
                and baselines.as_of_date = happened.as_of_date
        {%- endfor %}
    ),

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
            sum({{ whole("1000000.0E0 * confidence") }}) as confidence_millionths,
            count(confidence) as confidence_count,
            {{ ratio("sum(is_hit)", "count(is_hit)") }} as confidence_hit_rate,
            sum({{ whole("1000000.0E0 * churn") }}) as churn_millionths,
            count(churn) as churn_count,
            {{ ratio("sum(is_churned)", "count(is_churned)") }} as churn_observed
        from said
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
    {{ ratio("measured.confidence_millionths", "1000000 * measured.confidence_count") }} as confidence_stated,
    measured.confidence_hit_rate,
    {{ ratio("measured.churn_millionths", "1000000 * measured.churn_count") }} as churn_stated,
    measured.churn_observed
from measured
