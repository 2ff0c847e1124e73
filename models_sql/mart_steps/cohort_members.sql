-- Grain: dimension x customer_id, for everyone who ever bought or gave back, as known on the scoring
-- date: the month that won them, and their group in each dimension: `all`, and every declared
-- attribute.
with
    entries as (select * from {{ ref("money_entries") }}),

    attributes as (select * from {{ ref("attribute_segments") }}),

    -- whose purchases are all undone, or older than the data, begins with the first refund that stands
    acquired as (
        select
            customer_id,
            max(as_of_date) as as_of_date,
            max(is_order) as is_buyer,
            cast(
                date_trunc(
                    'month', coalesce(min(case when is_order = 1 then happened_at end), min(happened_at))
                ) as date
            ) as cohort_month
        from entries
        group by customer_id
    ),

    members as (
        select acquired.*, 'all' as dimension, 'all' as dimension_value
        from acquired
        union all
        select acquired.*, attributes.attribute as dimension, attributes.segment as dimension_value
        from acquired
        inner join attributes on attributes.customer_id = acquired.customer_id
    )

select
    customer_id,
    as_of_date,
    cast(dimension as string) as dimension,
    cast(dimension_value as string) as dimension_value,
    cohort_month,
    cast(is_buyer as int) as is_buyer
from members
