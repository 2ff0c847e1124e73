-- Whom should we win back first? Late against their own rhythm, and still with a real chance: by what is
-- expected of them. Those of whom hardly anybody returns are left out, and so is the control group.
select
    actions.customer_id,
    actions.reason,
    actions.money_at_stake,
    round(actions.order_probability, 2) as order_probability,
    customer.total_revenue as spent_so_far
from {{ ref("customer_actions") }} as actions
inner join {{ ref("customer_clv") }} as customer on customer.customer_id = actions.customer_id
where actions.list_name = 'win_back' and not actions.is_control_group
order by actions.money_at_stake desc, actions.customer_id
limit 20
