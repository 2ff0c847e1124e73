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

    said as (
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
            coalesce(
                predictions.horizon_days = {{ setting("horizon_days") }}
                and predictions.reporting_currency = '{{ setting("reporting_currency") }}',
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
        select said.as_of_date, {{ label_known_at("said.as_of_date") }} as label_known_at
        from said
        cross join today
        where said.is_comparable and {{ label_known_at("said.as_of_date") }} <= today.as_of_date
        group by said.as_of_date
    ),

    {{ label_parts() }}

select
    said.customer_id,
    said.as_of_date,
    said.clv_predicted,
    said.clv_typical,
    said.clv_low,
    said.clv_high,
    said.clv_prediction_confidence,
    said.churn_probability,
    said.model_version,
    said.is_comparable,
    cast(
        case
            when dates.as_of_date is not null and said.is_comparable
            then coalesce(bought.revenue, 0) + coalesce(gave_back.revenue, 0)
        end as decimal(18, 2)
    ) as actual_revenue,
    cast(
        case
            when dates.as_of_date is not null and said.is_comparable then coalesce(bought.purchases, 0)
        end as int
    ) as actual_purchases
from said
left join dates on dates.as_of_date = said.as_of_date
left join bought on bought.customer_id = said.customer_id and bought.as_of_date = said.as_of_date
left join gave_back on gave_back.customer_id = said.customer_id and gave_back.as_of_date = said.as_of_date
