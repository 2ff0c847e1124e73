-- What stands in customer_clv: the date, customers, how many of them a model scored, and which.
select
    max(as_of_date) as as_of_date,
    count(*) as customers,
    count(clv_predicted) as customers_of_model,
    max(clv_model_version) as model_version
from customer_clv
