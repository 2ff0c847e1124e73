-- Grain: customer_id x driver: why a customer's clv_predicted changed from `side_before` to `side_after`.
-- The sides are two scoring dates, or two models on one date. The changes of a customer add up to theirs,
-- in the reporting currency. A driver that is on one side only counts as 0 on the other. Those scored on
-- one side only changed by all of their value, under the driver '(new customer)' or '(not scored any more)'.
with
    customers as (
        select
            coalesce(after.customer_id, before.customer_id) as customer_id,
            before.clv_predicted as predicted_before,
            after.clv_predicted as predicted_after
        from side_before as before
        full outer join side_after as after on after.customer_id = before.customer_id
    ),

    drivers as (
        select 'before' as side, customer_id, driver_name, driver_value, contribution, driver_base
        from drivers_before
        union all
        select 'after' as side, customer_id, driver_name, driver_value, contribution, driver_base
        from drivers_after
    ),

    -- the base is the same in all rows of a customer; it takes its place among the drivers
    contributions as (
        select customer_id, side, driver_name, driver_value, contribution
        from drivers
        union all
        select
            customer_id, side, '(base)' as driver_name, null as driver_value, max(driver_base) as contribution
        from drivers
        group by customer_id, side
    ),

    both_sides as (
        select
            customers.customer_id,
            contributions.driver_name,
            max(case when contributions.side = 'before' then contributions.driver_value end) as value_before,
            max(case when contributions.side = 'after' then contributions.driver_value end) as value_after,
            coalesce(
                max(case when contributions.side = 'before' then contributions.contribution end), 0
            ) as contribution_before,
            coalesce(
                max(case when contributions.side = 'after' then contributions.contribution end), 0
            ) as contribution_after
        from customers
        inner join contributions on contributions.customer_id = customers.customer_id
        where customers.predicted_before is not null and customers.predicted_after is not null
        group by customers.customer_id, contributions.driver_name
    ),

    one_side as (
        select
            customer_id,
            case
                when predicted_before is null then '(new customer)' else '(not scored any more)'
            end as driver_name,
            null as value_before,
            null as value_after,
            coalesce(predicted_before, 0) as contribution_before,
            coalesce(predicted_after, 0) as contribution_after
        from customers
        where predicted_before is null or predicted_after is null
    )

select
    customer_id,
    driver_name,
    value_before,
    value_after,
    contribution_before,
    contribution_after,
    -- exact sums, whatever the order of rows
    cast(contribution_after - contribution_before as decimal(28, 6)) as change
from
    (
        select *
        from both_sides
        union all
        select *
        from one_side
    ) as changes
