-- Grain: customer_id. The customer's profile on the scoring date and what they are expected to be worth
-- in the horizon. `clv_estimate` is always there; `clv_method` says where it came from.
with
    estimates as (select * from {{ ref("customer_estimates") }}),
    horizons as (select * from {{ ref("horizon_values") }}),
    features as (select * from {{ ref("customer_features") }}),
    -- the profile does not depend on which feature groups a model may read
    purchases as (select * from {{ ref("customer_rfm") }}),
    intervals as (select * from {{ ref("customer_intervals") }}),
    seasonality as (select * from {{ ref("customer_seasonality") }}),
    behavior as (select * from {{ ref("customer_behavior") }}),
    attributes as (select * from {{ ref("known_attributes") }}),
    drivers as (select * from {{ ref("customer_top_drivers") }})

select
    features.customer_id,
    features.as_of_date,
    cast({{ setting("horizon_days") }} as int) as horizon_days,
    cast('{{ setting("reporting_currency") }}' as string) as reporting_currency,
    cast({{ setting("annual_discount_rate") }} as double) as annual_discount_rate,
    estimates.clv_estimate,
    estimates.clv_method,
    estimates.clv_predicted,
    {{ margin_of("estimates.clv_predicted") }} as clv_predicted_margin,
    estimates.clv_typical,
    estimates.clv_low,
    estimates.clv_high,
    {{ certainty("estimates.churn_probability") }} as certainty,
    estimates.clv_prediction_confidence,
    estimates.churn_probability,
    {{ feature_columns("horizon_values", "horizons") }}
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
    estimates.clv_predicted
    - drivers.driver_base
    - coalesce(drivers.driver_1_contribution, 0.0e0)
    - coalesce(drivers.driver_2_contribution, 0.0e0)
    - coalesce(drivers.driver_3_contribution, 0.0e0) as driver_rest,
    estimates.clv_model_version,
    estimates.is_hindsight,
    estimates.scored_at,
    {{ feature_columns("known_attributes", "attributes") }}
    estimates.feature_hash
from estimates
inner join
    features on features.customer_id = estimates.customer_id and features.as_of_date = estimates.as_of_date
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
inner join horizons on horizons.customer_id = estimates.customer_id
left join attributes on attributes.customer_id = estimates.customer_id
left join
    drivers
    on drivers.customer_id = estimates.customer_id
    and drivers.as_of_date = estimates.as_of_date
    and drivers.model_version = estimates.clv_model_version
    and drivers.build_hash = estimates.build_hash
