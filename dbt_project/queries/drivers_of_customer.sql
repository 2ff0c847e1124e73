-- What moved the customer's prediction, strongest first; none where no model scored the customer.
select drivers.driver_name, drivers.driver_column, drivers.driver_value, drivers.contribution
from customer_drivers as drivers
inner join
    customer_clv as customers
    on customers.customer_id = drivers.customer_id
    and customers.as_of_date = drivers.as_of_date
    and customers.clv_model_version = drivers.model_version
where drivers.customer_id = $customer
order by drivers.driver_rank
