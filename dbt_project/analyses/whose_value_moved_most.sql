-- Whose value moved most since the previous scoring date? Today's best customers stand in its place after
-- the first scoring.
with
    dates as (
        select
            max(as_of_date) as today,
            (
                select max(earlier.as_of_date)
                from {{ ref("customer_clv_history") }} as earlier
                where
                    earlier.is_comparable
                    and earlier.as_of_date < (select max(as_of_date) from {{ ref("customer_clv") }})
            ) as previous_date
        from {{ ref("customer_clv") }}
    )

select
    customer.customer_id,
    dates.previous_date,
    round(earlier.clv_predicted, 2) as predicted_then,
    round(customer.clv_predicted, 2) as predicted_now,
    round(customer.clv_predicted - earlier.clv_predicted, 2) as change
from {{ ref("customer_clv") }} as customer
cross join dates
left join
    {{ ref("customer_clv_history") }} as earlier
    on earlier.customer_id = customer.customer_id
    and earlier.as_of_date = dates.previous_date
where customer.clv_predicted is not null
order by
    abs(customer.clv_predicted - earlier.clv_predicted) desc nulls last,
    customer.clv_predicted desc,
    customer.customer_id
limit 20
