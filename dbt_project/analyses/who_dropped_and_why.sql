-- Whose value dropped most in the last weeks, and what weighs on it now? Against the newest scoring
-- date that lies four weeks back; before there is one, the change is NULL.
select
    customer.customer_id,
    round(max_by(earlier.clv_predicted, earlier.as_of_date), 2) as predicted_then,
    round(customer.clv_predicted, 2) as predicted_now,
    predicted_now - predicted_then as change,
    customer.clv_top_features as why
from {{ ref("customer_clv") }} as customer
left join
    {{ ref("customer_clv_history") }} as earlier
    on earlier.customer_id = customer.customer_id
    and earlier.is_comparable
    and earlier.as_of_date <= customer.as_of_date - 28
group by customer.customer_id, customer.clv_predicted, customer.clv_top_features
order by change nulls last, customer.customer_id
limit 20
