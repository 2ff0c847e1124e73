-- Grain: driver of $customer_id that changed between the two sides, largest change first.
select driver_name, change, value_before, value_after
from driver_changes
where customer_id = $customer_id and change <> 0
order by abs(change) desc, driver_name
