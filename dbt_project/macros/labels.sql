{#- What customers spent in a horizon, as known when each label became final. The CTEs `bought` and `gave_back`, over the
    CTEs `dates` (the keys, as_of_date among them, horizon_ends_at, label_known_at), `orders` and `refunds`. A sale voided by
    then does not count, nor does the refund that voided it if both lie in the window; a refund of an earlier sale does. -#}
{% macro label_parts(keys=["as_of_date"]) -%}
    {%- set keys = "dates." ~ keys | join(", dates.") -%}
    bought as (
        select
            orders.customer_id,
            {{ keys }},
            count(*) as purchases,
            sum(
                {{ present_value("orders.order_value", "orders.ordered_at", "dates.as_of_date") }}
            ) as revenue,
            min(orders.ordered_at) as first_at
        from dates
        inner join
            orders
            on orders.ordered_at >= dates.as_of_date
            and orders.ordered_at < dates.horizon_ends_at
            and {{ state_known_before("orders.known_from", "orders.known_until", "dates.label_known_at") }}
        group by orders.customer_id, {{ keys }}
    ),

    gave_back as (
        select
            refunds.customer_id,
            {{ keys }},
            sum(
                {{ present_value("refunds.refund_amount", "refunds.refunded_at", "dates.as_of_date") }}
            ) as revenue
        from dates
        inner join
            refunds
            on refunds.refunded_at >= dates.as_of_date
            and refunds.refunded_at < dates.horizon_ends_at
            and {{ state_known_before("refunds.known_from", "refunds.undone_at", "dates.label_known_at") }}
            and (
                refunds.sold_at is null
                or refunds.sold_at < dates.as_of_date
                or {{ state_known_before("refunds.known_from", "refunds.known_until", "dates.label_known_at") }}
            )
        group by refunds.customer_id, {{ keys }}
    )
{%- endmacro %}
