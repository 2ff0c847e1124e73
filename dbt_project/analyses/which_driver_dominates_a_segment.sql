-- Which driver dominates a segment? The three that move most money, up or down, among the three largest
-- drivers of each of its customers.
with
    top_drivers as (
        select customer_id, driver_1_name as driver, driver_1_contribution as contribution
        from {{ ref("customer_clv") }}
        union all
        select customer_id, driver_2_name as driver, driver_2_contribution as contribution
        from {{ ref("customer_clv") }}
        union all
        select customer_id, driver_3_name as driver, driver_3_contribution as contribution
        from {{ ref("customer_clv") }}
    ),

    moved as (
        select
            segment.rfm_segment,
            top_drivers.driver,
            count(*) as customers,
            sum(cast(top_drivers.contribution as decimal(18, 2))) as money_moved,
            sum(abs(cast(top_drivers.contribution as decimal(18, 2)))) as money_moved_either_way
        from top_drivers
        inner join {{ ref("customer_segments") }} as segment on segment.customer_id = top_drivers.customer_id
        where top_drivers.driver is not null
        group by segment.rfm_segment, top_drivers.driver
    ),

    placed as (
        select
            moved.*,
            row_number() over (partition by rfm_segment order by money_moved_either_way desc, driver) as place
        from moved
    )

select rfm_segment, place, driver, customers, money_moved, money_moved_either_way
from placed
where place <= 3
order by rfm_segment, place
