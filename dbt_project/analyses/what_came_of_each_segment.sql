-- What came of each segment and list? Of past scoring dates: the share who bought again, what came per
-- customer, and what had been expected for the whole horizon.
select
    as_of_date,
    kind,
    group_name,
    days_measured,
    sum(customer_count) as customers,
    round(sum(buyer_count) / sum(customer_count), 2) as bought_again,
    round(sum(revenue_total) / sum(customer_count), 2) as came_per_customer,
    round(sum(expected_mean * customer_count) / sum(customer_count), 2) as expected_per_customer
from {{ ref("group_outcomes") }}
group by as_of_date, kind, group_name, days_measured
order by as_of_date, kind, came_per_customer desc
