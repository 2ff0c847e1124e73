-- Grain: customer_id x as_of_date x refund, for every refund that counted, as far as was known, on the
-- date.
{{ config(materialized="view") }}

with dates as (select * from {{ ref("as_of_dates") }}), refunds as (select * from {{ ref("int_refunds") }})

select
    refunds.refund_id,
    refunds.customer_id,
    dates.as_of_date,
    refunds.order_id,
    refunds.refunded_at,
    refunds.refund_amount
from dates
inner join
    refunds on {{ state_known_before("refunds.known_from", "refunds.known_until", "dates.as_of_date") }}
