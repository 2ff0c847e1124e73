-- Grain: customer_id: what clv_predicted was in `side_before`, is in `side_after`, and the change;
-- largest change first. NULL where the customer was not scored there. $customer_id narrows to one; NULL
-- takes all.
select
    coalesce(after.customer_id, before.customer_id) as customer_id,
    before.clv_predicted as predicted_before,
    after.clv_predicted as predicted_after,
    cast(coalesce(after.clv_predicted, 0) - coalesce(before.clv_predicted, 0) as decimal(28, 6)) as change
from side_before as before
full outer join side_after as after on after.customer_id = before.customer_id
where $customer_id is null or coalesce(after.customer_id, before.customer_id) = $customer_id
order by abs(change) desc, customer_id
limit $customers
