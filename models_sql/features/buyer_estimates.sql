-- Grain: customer_id x as_of_date x is_comparison, for customers who ever bought: the purchases that an
-- estimate is made from, and what they promise by last year's spend and by moments. In a small shop
-- everybody has two rows: as they are, and (is_comparison) as a customer of the same recency and mean
-- order value after a single purchase would be, which is the least that anybody who bought more is given.
{{ config(materialized="view") }}

with
    purchases as (select * from {{ ref("customer_rfm") }} where total_purchases > 0),

    dates as (select * from {{ ref("as_of_dates") }}),

    priors as (select * from {{ ref("shop_priors") }}),

    buyers as (
        select
            purchases.*,
            {{ ratio("purchases.total_revenue", "purchases.purchase_days") }} as mean_order_value,
            priors.buyer_count < {{ setting("small_shop_customers") }} as is_small_shop
        from purchases
        inner join priors on priors.as_of_date = purchases.as_of_date
    ),

    histories as (
        select
            customer_id,
            as_of_date,
            false as is_comparison,
            is_small_shop,
            purchase_days as orders,
            days_since_first_purchase - days_since_last_purchase as recency_days,
            days_since_first_purchase as age_days,
            cast(total_revenue as double) as revenue,
            cast(revenue_365d as double) as revenue_365d
        from buyers
        union all
        select
            customer_id,
            as_of_date,
            true as is_comparison,
            is_small_shop,
            1 as orders,
            0 as recency_days,
            days_since_last_purchase as age_days,
            mean_order_value as revenue,
            case when days_since_last_purchase < 365 then mean_order_value else 0.0e0 end as revenue_365d
        from buyers
        where is_small_shop
    )

select
    histories.customer_id,
    histories.as_of_date,
    histories.is_comparison,
    histories.is_small_shop,
    cast(histories.orders as double) as orders,
    cast(histories.orders - 1 as double) as repeats,
    histories.recency_days / 7.0e0 as recency_weeks,
    histories.age_days / 7.0e0 as age_weeks,
    greatest(0.0e0, histories.revenue) as spent,
    {{ money(
        "histories.revenue_365d * (" ~ setting("horizon_days") ~ ".0E0 / least(365, greatest(" ~ least_pace_days() ~ ", dates.shop_age_days)))"
    ) }}
    as persistence_value,
    -- no spread between customers beyond chance: everybody gets the mean
    coalesce(
        (priors.mean_daily_rate * priors.prior_days + (histories.orders - 1))
        / (priors.prior_days + histories.age_days),
        priors.mean_daily_rate
    )
    * {{ setting("horizon_days") }} as bayes_purchases,
    greatest(
        0.0e0,
        coalesce(
            (priors.mean_order_value * priors.prior_orders + histories.revenue)
            / (priors.prior_orders + histories.orders),
            priors.mean_order_value
        )
    ) as bayes_order_value
from histories
inner join priors on priors.as_of_date = histories.as_of_date
inner join dates on dates.as_of_date = histories.as_of_date
