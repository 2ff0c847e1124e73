-- Buyers by clv_estimate in bins a third of a power of ten wide; those under 1 together, with `value_from`
-- NULL.
select
    case when clv_estimate >= 1 then power(10, floor(log10(clv_estimate) * 3 + 1e-9) / 3) end as value_from,
    count(*) as customers,
    sum(clv_estimate) as estimate_total
from customer_clv
where total_purchases > 0
group by value_from
order by value_from nulls first
