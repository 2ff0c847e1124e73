-- Fails on a customer of the scoring date who is missing from customer_clv, or has no estimate there.
with
    dates as (select * from {{ ref("as_of_dates") }} where is_scoring_date),

    spine as (select * from {{ ref("int_spine") }}),

    profiles as (select * from {{ ref("customer_clv") }})

select spine.customer_id
from dates
inner join spine on spine.as_of_date = dates.as_of_date
left join profiles on profiles.customer_id = spine.customer_id and profiles.as_of_date = spine.as_of_date
where profiles.clv_estimate is null
