-- Grain: customer_id x horizon_days: what each customer is expected to spend within horizon_days and within
-- each day count of the setting horizons, and how likely an order is by then.
with
    customers as (select * from {{ ref("customer_clv") }}),

    shares as (select * from {{ ref("horizon_shares") }} where {{ on_scoring_date("as_of_date") }}),

    horizons as (
        {% for days in all_horizons() -%}
            select
                customer_id,
                as_of_date,
                cast({{ days }} as int) as horizon_days,
                {{ "clv_estimate" if days == setting("horizon_days") else "clv_" ~ days ~ "d" }}
                as expected_revenue,
                churn_probability
            from customers {{ "union all" if not loop.last }}
        {% endfor %}
    ),

    compared as (
        select
            horizons.*,
            {{ log_odds("(1.0e0 - horizons.churn_probability)") }} + shares.log_odds_beyond as log_odds
        from horizons
        left join
            shares
            on shares.customer_id = horizons.customer_id
            and shares.as_of_date = horizons.as_of_date
            and shares.horizon_days = horizons.horizon_days
    )

select
    customer_id,
    as_of_date,
    horizon_days,
    expected_revenue,
    round(1.0e0 / (1.0e0 + exp(- log_odds)), 9) as order_probability
from compared
