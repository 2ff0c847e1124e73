-- A sample of 400 customers, the same each time, and what each of the strongest drivers did to each of
-- them. `place` is the customer's rank by the driver's value among them, from 0 to 1; NULL where there is
-- no value.
with
    drivers as (
        select drivers.customer_id, drivers.driver_name, drivers.driver_value, drivers.contribution
        from customer_drivers as drivers
        inner join
            customer_clv as customers
            on customers.customer_id = drivers.customer_id
            and customers.as_of_date = drivers.as_of_date
            and customers.clv_model_version = drivers.model_version
        where drivers.driver_name <> 'all other drivers'
    ),

    strongest as (
        select driver_name, sum(abs(contribution)) as effect
        from drivers
        group by driver_name
        order by effect desc, driver_name
        limit 8
    ),

    sampled as (select distinct customer_id, md5(customer_id) as place from drivers order by place limit 400)

select
    drivers.driver_name,
    drivers.contribution,
    case
        when drivers.driver_value is not null
        then percent_rank() over (partition by drivers.driver_name order by drivers.driver_value nulls first)
    end as place
from drivers
inner join strongest on strongest.driver_name = drivers.driver_name
inner join sampled on sampled.customer_id = drivers.customer_id
order by strongest.effect desc, drivers.driver_name, drivers.customer_id
