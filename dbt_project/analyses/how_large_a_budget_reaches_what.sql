-- If we can reach only so many customers, what share of the value do we reach? By the number of the best
-- customers chosen.
with
    placed as (
        select
            clv_estimate,
            row_number() over (order by clv_estimate desc, customer_id) as place,
            sum(clv_estimate) over () as all_value
        from {{ ref("customer_clv") }}
        where total_purchases > 0
    ),

    budgets as (
        select 50 as customers_reached
        union all
        select 100 as customers_reached
        union all
        select 250 as customers_reached
        union all
        select 500 as customers_reached
        union all
        select 1000 as customers_reached
    )

select
    budgets.customers_reached,
    sum(placed.clv_estimate) as value_reached,
    round(100 * sum(placed.clv_estimate) / nullif(max(placed.all_value), 0), 1) as percent_of_value
from budgets
inner join placed on placed.place <= budgets.customers_reached
group by budgets.customers_reached
order by budgets.customers_reached
