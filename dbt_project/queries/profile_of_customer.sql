-- The customer's row of customer_clv: what phrases of drivers may go on with.
select * from customer_clv where customer_id = $customer
