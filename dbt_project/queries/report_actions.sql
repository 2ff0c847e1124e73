-- The lists to act on, without their control groups: how many are on each, and the money at stake.
select list_name, count(*) as customers, sum(money_at_stake) as money_at_stake
from customer_actions
where not is_control_group
group by list_name
order by money_at_stake desc, list_name
