-- Grain: customer_id x as_of_date. The customer's buying pattern by rule: which type, and how far overdue.
with
    purchases as (select * from {{ ref("customer_rfm") }} where {{ is_wanted("as_of_date") }}),

    returns as (select * from {{ ref("int_returns") }}),

    intervals as (select * from {{ ref("customer_intervals") }} where {{ is_wanted("as_of_date") }}),

    tenures as (select * from {{ ref("customer_seasonality") }} where {{ is_wanted("as_of_date") }}),

    typed as (
        select
            purchases.customer_id,
            purchases.as_of_date,
            purchases.build_hash,
            case
                when purchases.total_purchases = 0 and returns.customer_id is not null
                then 'returned'
                when purchases.total_purchases = 0
                then 'new'
                when
                    purchases.total_purchases = 1 and tenures.tenure_days < {{ setting("new_customer_days") }}
                then 'new'
                when purchases.total_purchases = 1
                then 'one_time'
                when
                    intervals.interval_mean_days > {{ setting("long_cycle_days") }}
                    or intervals.interval_cv > {{ setting("long_cycle_cv") }}
                then 'long_cycle'
                when intervals.interval_cv < {{ setting("regular_cv") }}
                then 'regular'
                else 'irregular'
            end as behavior_type,
            case
                when intervals.interval_mean_days > 0
                then intervals.overdue_ratio / (1.0e0 + intervals.overdue_ratio)
            end as churn_risk_score
        from purchases
        inner join
            intervals
            on intervals.customer_id = purchases.customer_id
            and intervals.as_of_date = purchases.as_of_date
        inner join
            tenures
            on tenures.customer_id = purchases.customer_id
            and tenures.as_of_date = purchases.as_of_date
        left join
            returns
            on returns.customer_id = purchases.customer_id
            and {{ state_known_before("returns.known_from", "returns.known_until", "purchases.as_of_date") }}
    )

select
    customer_id,
    as_of_date,
    cast(behavior_type as string) as behavior_type,
    {{ one_hot("behavior_type", "new") }} as is_new,
    {{ one_hot("behavior_type", "one_time") }} as is_one_time,
    {{ one_hot("behavior_type", "regular") }} as is_regular,
    {{ one_hot("behavior_type", "irregular") }} as is_irregular,
    {{ one_hot("behavior_type", "long_cycle") }} as is_long_cycle,
    {{ one_hot("behavior_type", "returned") }} as is_returned,
    churn_risk_score,
    build_hash
from typed
