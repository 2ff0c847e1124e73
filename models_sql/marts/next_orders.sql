-- Grain: customer_id, for everyone who has bought and not returned all: how likely another order is, how many
-- are expected in the horizon and of what value, and when the next one comes, if it comes in the horizon. The
-- date and its window are what buyers alike waited on past dates; NULL with the reason where little is known.
{% set alike = {
    "near": "is_regular, tenth, third", "nearby": "is_regular, tenth", "anywhere": "is_regular"
} %}
{% set hardly = 1 - (1 - setting("interval_coverage")) / 2 %}

with
    customers as (select * from {{ ref("customer_clv") }} where total_purchases > 0),

    baselines as (select * from {{ ref("customer_baselines") }}),

    intervals as (select * from {{ ref("customer_intervals") }}),

    waits as (select * from {{ ref("order_waits") }}),

    {% for name, columns in alike.items() %}
        {{ name }} as (
            select {{ columns }}, {{ wait_quantiles("days_beyond_start") }}
            from waits
            where not is_scoring_date
            group by {{ columns }}
            having count(*) >= {{ least_measured_customers() }}
        ),
    {% endfor %}

    foreseen as (
        select
            waits.customer_id,
            {%- for name, days in [("from", "low"), ("expected", "middle"), ("until", "high")] %}
                floor(
                    greatest(
                        0.0e0,
                        waits.start_days
                        + coalesce(near.{{ days }}_days, nearby.{{ days }}_days, anywhere.{{ days }}_days)
                    )
                ) as {{ name }}_days
                {{- "," if not loop.last }}
            {%- endfor %}
        from waits
        left join anywhere on anywhere.is_regular = waits.is_regular
        left join nearby on nearby.is_regular = waits.is_regular and nearby.tenth = waits.tenth
        left join
            near
            on near.is_regular = waits.is_regular
            and near.tenth = waits.tenth
            and near.third = waits.third
        where waits.is_scoring_date
    ),

    counted as (
        select
            customers.*,
            foreseen.from_days,
            foreseen.expected_days,
            foreseen.until_days,
            1.0e0 - customers.churn_probability as order_probability,
            greatest(
                1.0e0 - customers.churn_probability,
                {{ ratio("customers.clv_estimate", "nullif(baselines.expected_order_value, 0)") }}
            ) as expected_orders,
            case
                when customers.total_purchases > 3
                then customers.days_since_last_purchase > intervals.interval_max_days
            end as is_overdue,
            case
                when foreseen.expected_days is null
                then 'too few past orders are known'
                when foreseen.from_days > customers.horizon_days
                then 'the next order is due beyond the horizon'
                when customers.churn_probability is null
                then 'no chance of an order is known'
                when customers.churn_probability >= {{ hardly }}
                then 'hardly any such customer orders within the horizon'
            end as why_unknown
        from customers
        inner join
            baselines
            on baselines.customer_id = customers.customer_id
            and baselines.as_of_date = customers.as_of_date
        inner join
            intervals
            on intervals.customer_id = customers.customer_id
            and intervals.as_of_date = customers.as_of_date
        left join foreseen on foreseen.customer_id = customers.customer_id
    )

select
    customer_id,
    as_of_date,
    horizon_days,
    order_probability,
    cast(expected_orders as double) as expected_orders,
    cast({{ ratio("clv_estimate", "nullif(expected_orders, 0.0e0)") }} as double) as expected_order_value,
    case
        when why_unknown is null then as_of_date + cast(least(horizon_days, expected_days) as int)
    end as next_order_expected_on,
    case when why_unknown is null then as_of_date + cast(from_days as int) end as next_order_from,
    case
        when why_unknown is null then as_of_date + cast(least(horizon_days, until_days) as int)
    end as next_order_until,
    cast(why_unknown as string) as why_unknown,
    is_overdue
from counted
