-- The most valuable customers, as many as a page carries, and all that it says of them. What they are
-- worth and why, when they order next, and what they spent in each of the last 24 months.
with
    chosen as (
        select *
        from customer_clv
        where total_purchases > 0
        order by clv_estimate desc, customer_id
        limit 1500
    ),

    lists as (
        select
            customer_id,
            list(list_name order by list_name) as lists,
            list(reason order by list_name) as reasons
        from customer_actions
        where not is_control_group
        group by customer_id
    ),

    horizons as (
        select
            customer_id,
            list(horizon_days order by horizon_days) as horizon_days,
            list(cast(expected_revenue as double) order by horizon_days) as horizon_values
        from customer_horizons
        group by customer_id
    ),

    months as (
        select
            entries.customer_id,
            cast(date_diff('month', entries.happened_at, entries.as_of_date) as int) as months_ago,
            cast(sum(entries.amount) as double) as revenue
        from money_entries as entries
        inner join chosen on chosen.customer_id = entries.customer_id
        group by entries.customer_id, months_ago
    ),

    histories as (
        select
            customer_id,
            list(months_ago order by months_ago) as months_ago,
            list(revenue order by months_ago) as months
        from months
        where months_ago < 24
        group by customer_id
    )

select
    chosen.customer_id,
    chosen.clv_estimate,
    chosen.clv_low,
    chosen.clv_high,
    chosen.certainty,
    chosen.total_purchases,
    chosen.total_revenue,
    chosen.days_since_last_purchase,
    chosen.behavior_type,
    segments.rfm_segment,
    segments.value_tier,
    narratives.narrative,
    cast(next_orders.next_order_expected_on as varchar) as next_order_expected_on,
    cast(next_orders.next_order_from as varchar) as next_order_from,
    cast(next_orders.next_order_until as varchar) as next_order_until,
    next_orders.why_unknown,
    next_orders.order_probability,
    lists.lists,
    lists.reasons,
    horizons.horizon_days,
    horizons.horizon_values,
    histories.months_ago,
    histories.months
from chosen
inner join customer_narratives as narratives on narratives.customer_id = chosen.customer_id
left join customer_segments as segments on segments.customer_id = chosen.customer_id
left join next_orders on next_orders.customer_id = chosen.customer_id
left join lists on lists.customer_id = chosen.customer_id
left join horizons on horizons.customer_id = chosen.customer_id
left join histories on histories.customer_id = chosen.customer_id
order by chosen.clv_estimate desc, chosen.customer_id
