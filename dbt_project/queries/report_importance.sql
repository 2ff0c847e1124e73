-- How far each driver moves today's predictions on average, largest first.
select
    drivers.driver_name,
    sum(abs(drivers.contribution)) / (
        select count(*)
        from customer_predictions as scored
        inner join as_of_dates on as_of_dates.as_of_date = scored.as_of_date and as_of_dates.is_scoring_date
    ) as mean_effect
from customer_drivers as drivers
inner join
    customer_clv as customers
    on customers.customer_id = drivers.customer_id
    and customers.as_of_date = drivers.as_of_date
    and customers.clv_model_version = drivers.model_version
where drivers.driver_name <> 'all other drivers'
group by drivers.driver_name
order by mean_effect desc, drivers.driver_name
limit 12
