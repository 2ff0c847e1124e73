-- Grain: customer_id. The customer's profile on the scoring date and what they are expected to be worth
-- in the horizon. `clv_estimate` is always there; `clv_method` says where it came from.
{% set plan = scoring_plan() %}
{% set churn_probability = "coalesce(predictions.churn_probability, returned.churn_probability, fallbacks.churn_probability)" %}
{% set version = plan.model.version if plan.model is not none else "" %}

with
    dates as (select * from {{ ref("as_of_dates") }} where is_scoring_date),
    weights as (select as_of_date, build_hash from {{ ref("anchor_weights") }}),
    features as (select * from {{ ref("customer_features") }}),
    -- the profile does not depend on which feature groups a model may read
    purchases as (select * from {{ ref("customer_rfm") }}),
    intervals as (select * from {{ ref("customer_intervals") }}),
    seasonality as (select * from {{ ref("customer_seasonality") }}),
    behavior as (select * from {{ ref("customer_behavior") }}),
    predictions as (select * from {{ ref("customer_predictions") }} where model_version = '{{ version }}'),
    returned as (select * from {{ ref("returned_estimates") }}),
    fallbacks as (select * from {{ ref("fallback_estimates") }}),
    drivers as (select * from {{ ref("customer_top_drivers") }} where model_version = '{{ version }}')

select
    features.customer_id,
    features.as_of_date,
    cast({{ setting("horizon_days") }} as int) as horizon_days,
    cast('{{ setting("reporting_currency") }}' as string) as reporting_currency,
    cast(
        coalesce(
            {{ money("predictions.clv_predicted") }},
            returned.expected_revenue,
            fallbacks.expected_revenue,
            features.simple_clv_estimate
        ) as decimal(18, 2)
    ) as clv_estimate,
    cast(
        case
            when behavior.behavior_type = 'returned'
            then 'returned'
            when purchases.total_purchases = 0
            then 'no_purchase'
            when predictions.clv_predicted is not null
            then '{{ plan.method }}'
            else
                coalesce(fallbacks.estimator, 'simple')
                || ': {{ plan.method if plan.model is none else "not scored" }}'
        end as string
    ) as clv_method,
    predictions.clv_predicted,
    predictions.clv_typical,
    coalesce(predictions.clv_low, fallbacks.clv_low) as clv_low,
    coalesce(predictions.clv_high, fallbacks.clv_high) as clv_high,
    {{ certainty(churn_probability) }} as certainty,
    predictions.clv_prediction_confidence,
    {{ churn_probability }} as churn_probability,
    purchases.total_purchases,
    purchases.total_revenue,
    purchases.avg_order_value,
    purchases.purchase_frequency_per_month,
    purchases.refund_rate,
    purchases.first_purchase_at,
    purchases.last_purchase_at,
    purchases.days_since_last_purchase,
    seasonality.tenure_days,
    intervals.interval_mean_days,
    intervals.interval_std_days,
    intervals.interval_cv,
    intervals.regularity_index,
    intervals.overdue_ratio,
    behavior.behavior_type,
    behavior.churn_risk_score,
    features.simple_clv_estimate,
    drivers.clv_top_features,
    drivers.driver_1_name,
    drivers.driver_1_value,
    drivers.driver_1_contribution,
    drivers.driver_2_name,
    drivers.driver_2_value,
    drivers.driver_2_contribution,
    drivers.driver_3_name,
    drivers.driver_3_value,
    drivers.driver_3_contribution,
    drivers.driver_base,
    predictions.clv_predicted
    - drivers.driver_base
    - coalesce(drivers.driver_1_contribution, 0.0e0)
    - coalesce(drivers.driver_2_contribution, 0.0e0)
    - coalesce(drivers.driver_3_contribution, 0.0e0) as driver_rest,
    predictions.model_version as clv_model_version,
    coalesce(predictions.is_hindsight, false) as is_hindsight,
    predictions.scored_at,
    predictions.feature_hash
from dates
inner join features on features.as_of_date = dates.as_of_date
inner join
    purchases on purchases.customer_id = features.customer_id and purchases.as_of_date = features.as_of_date
inner join
    intervals on intervals.customer_id = features.customer_id and intervals.as_of_date = features.as_of_date
inner join
    seasonality
    on seasonality.customer_id = features.customer_id
    and seasonality.as_of_date = features.as_of_date
inner join
    behavior on behavior.customer_id = features.customer_id and behavior.as_of_date = features.as_of_date
left join weights on weights.as_of_date = features.as_of_date
left join returned on behavior.behavior_type = 'returned'
left join
    predictions
    on predictions.customer_id = features.customer_id
    and predictions.as_of_date = features.as_of_date
    and predictions.build_hash = weights.build_hash
left join fallbacks on fallbacks.customer_id = features.customer_id and predictions.customer_id is null
left join
    drivers
    on drivers.customer_id = features.customer_id
    and drivers.as_of_date = features.as_of_date
    and drivers.build_hash = weights.build_hash
