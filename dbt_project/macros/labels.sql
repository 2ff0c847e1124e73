{#- What customers spent in the horizon, as known when each label became final. The CTEs `bought` and `gave_back`, over the
    CTEs `dates` (as_of_date, label_known_at), `orders` and `refunds`. A sale voided by then does not count, nor does the
    refund that voided it if both lie in the window; a refund of an earlier sale does. -#}
{% macro label_parts() -%}
    bought as (
        select
            orders.customer_id,
            dates.as_of_date,
            count(*) as purchases,
            sum(orders.order_value) as revenue,
            min(orders.ordered_at) as first_at
        from dates
        inner join
            orders
            on {{ in_horizon("orders.ordered_at", "dates.as_of_date") }}
            and {{ state_known_before("orders.known_from", "orders.known_until", "dates.label_known_at") }}
        group by orders.customer_id, dates.as_of_date
    ),

    gave_back as (
        select refunds.customer_id, dates.as_of_date, sum(refunds.refund_amount) as revenue
        from dates
        inner join
            refunds
            on {{ in_horizon("refunds.refunded_at", "dates.as_of_date") }}
            and {{ state_known_before("refunds.known_from", "refunds.undone_at", "dates.label_known_at") }}
            and (
                refunds.sold_at is null
                or refunds.sold_at < dates.as_of_date
                or {{ state_known_before("refunds.known_from", "refunds.known_until", "dates.label_known_at") }}
            )
        group by refunds.customer_id, dates.as_of_date
    )
{%- endmacro %}
