-- Grain: customer_id x as_of_date x category: what the customer had spent in it, as far as was known.
-- Positive spend only.
{{ config(materialized="view") }}

with
    dates as (select * from {{ ref("as_of_dates") }}),

    changes as (select * from {{ ref("int_categories") }}),

    spend as (
        select
            changes.customer_id,
            dates.as_of_date,
            changes.category,
            sum(changes.amount_change) as category_revenue
        from dates
        inner join
            changes on {{ state_known_before("changes.known_on", "changes.known_until", "dates.as_of_date") }}
        group by changes.customer_id, dates.as_of_date, changes.category
    ),

    totals as (
        select spend.*, sum(category_revenue) over (partition by customer_id, as_of_date) as customer_revenue
        from spend
        where category_revenue > 0
    )

select
    customer_id,
    as_of_date,
    category,
    cast(category_revenue as decimal(18, 2)) as category_revenue,
    {{ ratio("category_revenue", "customer_revenue") }} as category_share
from totals
