-- Channels over all months: customers won, what one cost and brings. Grain: channel. A cost is unknown
-- where the spend of any month is.
select
    channel,
    sum(customer_count) as customers,
    case when count(spend) = count(*) then sum(spend) end as spend,
    case
        when count(spend) = count(*) then cast(sum(spend) as double) / nullif(sum(customer_count), 0)
    end as cac,
    sum(value_mean * customer_count) / nullif(sum(customer_count), 0) as value_mean,
    case
        when count(spend) = count(*)
        then sum(margin_mean * customer_count) / nullif(cast(sum(spend) as double), 0)
    end as ltv_to_cac
from acquisition_value
group by channel
order by customers desc, channel
