-- Grain: customer_id. What decides which lists a customer is on: value tier, rhythm, the chance of an order,
-- and both value and chance on the newest scoring date that lies weeks back, where there is one.
with
    customers as (select * from {{ ref("customer_clv") }}),

    segments as (select * from {{ ref("customer_segments") }}),

    history as (select * from {{ ref("customer_clv_history") }} where is_comparable),

    earlier_date as (
        select max(history.as_of_date) as as_of_date
        from history
        cross join (select max(as_of_date) as as_of_date from customers) as today
        where {{ days_between("history.as_of_date", "today.as_of_date") }} >= {{ least_days_compared() }}
    ),

    earlier as (
        select history.* from history inner join earlier_date on earlier_date.as_of_date = history.as_of_date
    ),

    -- a new model, or a better month, moves everybody: only what is more than that is the customer's own
    -- in hundredths and millionths, so that sums are exact
    totals as (
        select
            sum({{ whole("customers.clv_predicted * 100.0E0") }}) as total_now,
            sum({{ whole("earlier.clv_predicted * 100.0E0") }}) as total_earlier
        from customers
        inner join earlier on earlier.customer_id = customers.customer_id
        where customers.clv_predicted is not null
    ),

    growth as (select {{ ratio("total_now", "total_earlier") }} as factor from totals),

    once as (
        select
            sum({{ whole("(1.0e0 - churn_probability) * 1000000.0E0") }}) as millionths,
            count(churn_probability) as customer_count
        from customers
        where total_purchases = 1
    ),

    single as (select {{ ratio("millionths", "1000000 * customer_count") }} as order_probability from once)

select
    customers.customer_id,
    customers.as_of_date,
    customers.horizon_days,
    segments.value_tier in ('top', 'high') as is_valuable,
    customers.behavior_type,
    customers.total_purchases,
    customers.days_since_last_purchase,
    customers.interval_mean_days,
    customers.overdue_ratio,
    customers.clv_estimate,
    customers.certainty,
    1.0e0 - customers.churn_probability as order_probability,
    single.order_probability as single_order_probability,
    earlier.as_of_date as earlier_as_of_date,
    1.0e0 - earlier.churn_probability as earlier_order_probability,
    earlier.clv_predicted as earlier_clv_predicted,
    {{ ratio("customers.clv_predicted", "earlier.clv_predicted * growth.factor") }} as own_growth,
    coalesce(customers.last_purchase_at >= earlier.as_of_date, false) as has_bought_since
from customers
inner join segments on segments.customer_id = customers.customer_id
cross join growth
cross join single
left join earlier on earlier.customer_id = customers.customer_id
