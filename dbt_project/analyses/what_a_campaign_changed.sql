-- What did a campaign change? Of each list: what the others spent more per customer than those left
-- alone, and how far off that may be (nine times in ten). NULL until a day is past.
select
    treated.as_of_date,
    treated.group_name as list_name,
    treated.days_measured,
    treated.customer_count,
    control.customer_count as left_alone,
    treated.revenue_mean - control.revenue_mean as more_per_customer,
    1.645 * sqrt(
        power(treated.revenue_std, 2) / treated.customer_count + power(control.revenue_std, 2) / left_alone
    ) as plus_or_minus
from {{ ref("group_outcomes") }} as treated
left join
    (select * from {{ ref("group_outcomes") }} where is_control_group) as control using (
        as_of_date, kind, group_name
    )
where treated.kind = 'list' and not treated.is_control_group
order by treated.as_of_date, list_name
