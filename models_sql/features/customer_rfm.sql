-- Grain: customer_id x as_of_date. What the customer bought and gave back before the date: recency,
-- frequency, money.
{% set windows = [30, 90, 180, 365] %}

with
    spine as (select * from {{ ref("int_spine") }} where {{ is_wanted("as_of_date") }}),

    orders as (select * from {{ ref("int_orders_as_of") }} where {{ is_wanted("as_of_date") }}),

    refunds as (select * from {{ ref("int_refunds_as_of") }} where {{ is_wanted("as_of_date") }}),

    purchased as (
        select
            customer_id,
            as_of_date,
            count(*) as total_purchases,
            sum(order_value) as gross_revenue,
            sum(item_count) as total_items,
            min(ordered_at) as first_purchase_at,
            max(ordered_at) as last_purchase_at,
            min(order_value) as min_order_value,
            max(order_value) as max_order_value,
            sum(
                {{ wide("cast(order_value * 100 as bigint)") }}
                * {{ wide("cast(order_value * 100 as bigint)") }}
            ) as squared_cents,
            sum({{ wide("cast(order_value * 100 as bigint)") }}) as cents,
            {%- for days in windows %}
                count(
                    case when {{ in_lookback("ordered_at", "as_of_date", days) }} then 1 end
                ) as purchases_{{ days }}d,
                sum(
                    case when {{ in_lookback("ordered_at", "as_of_date", days) }} then order_value else 0 end
                ) as gross_{{ days }}d,
            {%- endfor %}
            count(
                case when {{ in_horizon_last_year("ordered_at", "as_of_date") }} then 1 end
            ) as purchases_horizon_last_year,
            sum(
                case when {{ in_horizon_last_year("ordered_at", "as_of_date") }} then order_value else 0 end
            ) as gross_horizon_last_year,
            {%- for days in [15, 45, 120, 360] %}
                sum(
                    {{ decayed("order_value", "ordered_at", "as_of_date", days) }}
                ) as decayed_revenue_{{ days }}d
                {{- "," if not loop.last }}
            {%- endfor %}
        from orders
        group by customer_id, as_of_date
    ),

    last_orders as (
        select
            customer_id,
            as_of_date,
            order_value,
            row_number() over (
                partition by customer_id, as_of_date order by ordered_at desc, order_id desc
            ) as newest_first
        from orders
    ),

    refunded as (
        select
            customer_id,
            as_of_date,
            sum(refund_amount) as refunds,
            {%- for days in windows %}
                sum(
                    case
                        when {{ in_lookback("refunded_at", "as_of_date", days) }} then refund_amount else 0
                    end
                ) as refunds_{{ days }}d,
            {%- endfor %}
            sum(
                case
                    when {{ in_horizon_last_year("refunded_at", "as_of_date") }} then refund_amount else 0
                end
            ) as refunds_horizon_last_year
        from refunds
        group by customer_id, as_of_date
    )

select
    spine.customer_id,
    spine.as_of_date,
    cast(purchased.first_purchase_at as timestamp) as first_purchase_at,
    cast(purchased.last_purchase_at as timestamp) as last_purchase_at,
    {{ days_between("purchased.last_purchase_at", "spine.as_of_date") }} as days_since_last_purchase,
    {{ days_between("purchased.first_purchase_at", "spine.as_of_date") }} as days_since_first_purchase,
    {{ ratio(
        "coalesce(purchased.total_purchases, 0)",
        tenure_months(days_between("spine.first_seen_at", "spine.as_of_date"))
    ) }} as purchase_frequency_per_month,
    cast(coalesce(purchased.total_purchases, 0) as int) as total_purchases,
    {{ money("coalesce(purchased.gross_revenue, 0) + coalesce(refunded.refunds, 0)") }} as total_revenue,
    {{ ratio("purchased.gross_revenue + coalesce(refunded.refunds, 0)", "purchased.total_purchases") }}
    as avg_order_value,
    {{ ratio("-coalesce(refunded.refunds, 0)", "purchased.gross_revenue") }} as refund_rate,
    {%- for days in windows %}
        cast(coalesce(purchased.purchases_{{ days }}d, 0) as int) as purchase_count_{{ days }}d,
        {{ money("coalesce(purchased.gross_" ~ days ~ "d, 0) + coalesce(refunded.refunds_" ~ days ~ "d, 0)") }}
        as revenue_{{ days }}d,
        {{ ratio(
        "purchased.gross_" ~ days ~ "d + coalesce(refunded.refunds_" ~ days ~ "d, 0)",
        "purchased.purchases_" ~ days ~ "d"
    ) }} as avg_order_value_{{ days }}d,
        {{ ratio("-coalesce(refunded.refunds_" ~ days ~ "d, 0)", "purchased.gross_" ~ days ~ "d") }}
        as refund_rate_{{ days }}d,
    {%- endfor %}
    cast(coalesce(purchased.purchases_horizon_last_year, 0) as int) as purchase_count_horizon_last_year,
    {{ money(
        "coalesce(purchased.gross_horizon_last_year, 0) + coalesce(refunded.refunds_horizon_last_year, 0)"
    ) }} as revenue_horizon_last_year,
    {%- for days in [15, 45, 120, 360] %}
        {{ money("coalesce(purchased.decayed_revenue_" ~ days ~ "d, 0)") }} as decayed_revenue_{{ days }}d,
    {%- endfor %}
    cast(last_orders.order_value as decimal(18, 2)) as last_order_value,
    cast(purchased.min_order_value as decimal(18, 2)) as min_order_value,
    cast(purchased.max_order_value as decimal(18, 2)) as max_order_value,
    {{ sample_std("purchased.total_purchases", "purchased.cents", "purchased.squared_cents") }}
    / 100.0e0 as std_order_value,
    cast(purchased.total_items as decimal(18, 3)) as total_items,
    spine.build_hash
from spine
left join purchased on purchased.customer_id = spine.customer_id and purchased.as_of_date = spine.as_of_date
left join refunded on refunded.customer_id = spine.customer_id and refunded.as_of_date = spine.as_of_date
left join
    last_orders
    on last_orders.customer_id = spine.customer_id
    and last_orders.as_of_date = spine.as_of_date
    and last_orders.newest_first = 1
