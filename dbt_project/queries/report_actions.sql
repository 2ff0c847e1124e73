-- The lists to act on: how many are on each, and the money at stake.
select list_name, count(*) as customers, sum(money_at_stake) as money_at_stake
from customer_actions
group by list_name
order by money_at_stake desc, list_name
