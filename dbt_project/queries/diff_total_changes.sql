-- Grain: driver: how far each driver moved the total, largest first, over the table `driver_changes`.
select
    driver_name,
    sum(change) as change,
    count(*) filter (where change <> 0) as customers_moved,
    sum(case when change > 0 then change else 0 end) as raised,
    sum(case when change < 0 then change else 0 end) as lowered
from driver_changes
group by driver_name
order by abs(sum(change)) desc, driver_name
