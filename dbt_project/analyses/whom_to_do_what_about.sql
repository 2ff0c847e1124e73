-- Whom should we do something about? Each list with how many are on it and what is expected of them, and its
-- most valuable customer with the reason.
select
    list_name,
    count(*) as customers,
    sum(case when is_control_group then 1 else 0 end) as left_alone,
    sum(money_at_stake) as money_at_stake,
    max_by(customer_id, money_at_stake) as first_to_call,
    max_by(reason, money_at_stake) as why
from {{ ref("customer_actions") }}
group by list_name
order by money_at_stake desc
