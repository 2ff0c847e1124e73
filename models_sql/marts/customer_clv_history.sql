-- Grain: customer_id x as_of_date, for every scoring date so far: what was predicted then and, once the
-- window is past, what happened. Actuals follow the label's own rule, for dates off the training grid
-- too.
with
    predictions as (select * from {{ ref("customer_predictions") }}),

    renamed as (select * from {{ ref("int_customer_ids") }}),

    -- a number that took in another one since then spends for both
    joined as (
        select renamed.customer_id, predictions.as_of_date
        from predictions
        inner join renamed on renamed.old_customer_id = predictions.customer_id
        group by renamed.customer_id, predictions.as_of_date
    ),

    today as (select * from {{ ref("int_today") }}),

    orders as (select * from {{ ref("int_orders") }}),

    refunds as (select * from {{ ref("int_refunds") }}),

    predicted as (
        select
            predictions.customer_id,
            predictions.as_of_date,
            predictions.clv_predicted,
            predictions.clv_typical,
            predictions.clv_low,
            predictions.clv_high,
            predictions.clv_prediction_confidence,
            predictions.churn_probability,
            predictions.model_version,
            predictions.horizon_days,
            predictions.reporting_currency,
            predictions.annual_discount_rate,
            coalesce(predictions.is_hindsight, false) as is_hindsight,
            coalesce(
                predictions.horizon_days = {{ setting("horizon_days") }}
                and predictions.reporting_currency = '{{ setting("reporting_currency") }}'
                and coalesce(predictions.annual_discount_rate, 0) = {{ setting("annual_discount_rate") }},
                false
            )
            and renamed.old_customer_id is null
            and joined.customer_id is null as is_comparable
        from predictions
        left join renamed on renamed.old_customer_id = predictions.customer_id
        left join
            joined
            on joined.customer_id = predictions.customer_id
            and joined.as_of_date = predictions.as_of_date
    ),

    -- windows of today's horizon that are past
    dates as (
        select
            predicted.as_of_date,
            {{ horizon_ends_at("predicted.as_of_date") }} as horizon_ends_at,
            {{ label_known_at("predicted.as_of_date") }} as label_known_at
        from predicted
        cross join today
        where predicted.is_comparable and {{ label_known_at("predicted.as_of_date") }} <= today.as_of_date
        group by predicted.as_of_date
    ),

    {{ label_parts() }}

select
    predicted.customer_id,
    predicted.as_of_date,
    predicted.clv_predicted,
    predicted.clv_typical,
    predicted.clv_low,
    predicted.clv_high,
    predicted.clv_prediction_confidence,
    predicted.churn_probability,
    predicted.model_version,
    predicted.horizon_days,
    predicted.reporting_currency,
    predicted.annual_discount_rate,
    predicted.is_hindsight,
    predicted.is_comparable,
    cast(
        case
            when dates.as_of_date is not null and predicted.is_comparable
            then coalesce(bought.revenue, 0) + coalesce(gave_back.revenue, 0)
        end as decimal(18, 2)
    ) as actual_revenue,
    cast(
        case
            when dates.as_of_date is not null and predicted.is_comparable then coalesce(bought.purchases, 0)
        end as int
    ) as actual_purchases
from predicted
left join dates on dates.as_of_date = predicted.as_of_date
left join bought on bought.customer_id = predicted.customer_id and bought.as_of_date = predicted.as_of_date
left join
    gave_back on gave_back.customer_id = predicted.customer_id and gave_back.as_of_date = predicted.as_of_date
