-- Grain: customer_id x as_of_date, for every customer of whom any event was known before the date.
{{ config(materialized="view") }}

with
    dates as (select * from {{ ref("as_of_dates") }}), customers as (select * from {{ ref("int_customers") }})

select customers.customer_id, dates.as_of_date, customers.first_seen_at, dates.shop_age_days, dates.build_hash
from dates
inner join
    customers on {{ state_known_before("customers.known_from", "customers.known_until", "dates.as_of_date") }}
