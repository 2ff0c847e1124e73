-- Grain: customer_id, for customers of whom a purchase was taken back in full: since when that is known.
{{ config(materialized="view") }}

select customer_id, min(voided_at) as returned_at
from {{ ref("int_money_lines") }}
where not is_refund and voided_at is not null
group by customer_id
