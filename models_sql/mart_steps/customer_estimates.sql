-- Grain: customer_id, on the scoring date: the estimate to use and by which method, with the prediction where
-- a model made one.
{% set plan = scoring_plan() %}
{% set version = plan.model.version if plan.model is not none else "" %}

with
    dates as (select * from {{ ref("as_of_dates") }} where is_scoring_date),
    weights as (select as_of_date, build_hash from {{ ref("anchor_weights") }}),
    features as (select * from {{ ref("customer_features") }}),
    purchases as (select * from {{ ref("customer_rfm") }}),
    behavior as (select * from {{ ref("customer_behavior") }}),
    predictions as (select * from {{ ref("customer_predictions") }} where model_version = '{{ version }}'),
    returned as (select * from {{ ref("returned_estimates") }}),
    fallbacks as (select * from {{ ref("fallback_estimates") }})

select
    features.customer_id,
    features.as_of_date,
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
    coalesce(predictions.clv_low, returned.clv_low, fallbacks.clv_low) as clv_low,
    coalesce(predictions.clv_high, returned.clv_high, fallbacks.clv_high) as clv_high,
    predictions.clv_prediction_confidence,
    coalesce(
        predictions.churn_probability, returned.churn_probability, fallbacks.churn_probability
    ) as churn_probability,
    predictions.model_version as clv_model_version,
    coalesce(predictions.is_hindsight, false) as is_hindsight,
    predictions.scored_at,
    predictions.feature_hash,
    weights.build_hash
from dates
inner join features on features.as_of_date = dates.as_of_date
inner join
    purchases on purchases.customer_id = features.customer_id and purchases.as_of_date = features.as_of_date
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
