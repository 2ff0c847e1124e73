-- Grain: customer_id x known_from, for customers of whom a purchase was taken back in full: since when, and
-- until when, that is known.
{{ config(materialized="view") }}

with
    histories as (select * from {{ ref("int_histories") }}),

    returns as (
        select customer_id, min(voided_at) as known_from, cast(null as timestamp) as known_until
        from {{ ref("int_money_lines") }}
        where not is_refund and voided_at is not null
        group by customer_id
    ),

    {{ states_of_customers("returns") }}

select
    cast(person_id as string) as customer_id,
    cast(counts_from as timestamp) as known_from,
    cast(counts_until as timestamp) as known_until
from returns_of_customers
