-- Whose value dropped most in the last weeks, and what weighs on it now? Against the newest scoring date
-- that lies
-- four weeks back; before there is one, the change is NULL.
select
    customer.customer_id,
    earlier.as_of_date as earlier_date,
    round(earlier.clv_predicted, 2) as predicted_then,
    round(customer.clv_predicted, 2) as predicted_now,
    customer.clv_top_features as why
from {{ ref("customer_clv") }} as customer
left join
    (
        select *, rank() over (order by as_of_date desc) as place
        from {{ ref("customer_clv_history") }}
        where is_comparable and as_of_date <= (select max(as_of_date) - 28 from {{ ref("customer_clv") }})
    ) as earlier
    on earlier.customer_id = customer.customer_id
    and earlier.place = 1
order by customer.clv_predicted - earlier.clv_predicted nulls last, customer.customer_id
limit 20
