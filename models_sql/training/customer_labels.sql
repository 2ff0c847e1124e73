-- Grain: customer_id x as_of_date, for labelled dates: what the customer spent in the horizon, as known
-- when the label became final. Computed anew each run: what a label is made of lies after its date, so
-- the date's hash does not cover it.
with
    dates as (
        select as_of_date, {{ horizon_ends_at("as_of_date") }} as horizon_ends_at, label_known_at
        from {{ ref("as_of_dates") }}
        where is_labelled
    ),

    spine as (select * from {{ ref("int_spine") }}),

    orders as (select * from {{ ref("int_orders") }}),

    refunds as (select * from {{ ref("int_refunds") }}),

    {{ label_parts() }}

select
    spine.customer_id,
    spine.as_of_date,
    cast(coalesce(bought.revenue, 0) + coalesce(gave_back.revenue, 0) as decimal(18, 2)) as label_revenue,
    cast(coalesce(bought.purchases, 0) as int) as label_purchases,
    {{ seconds_between("spine.as_of_date", "bought.first_at") }} / 86400.0e0 as label_wait_days,
    spine.build_hash
from spine
inner join dates on dates.as_of_date = spine.as_of_date
left join bought on bought.customer_id = spine.customer_id and bought.as_of_date = spine.as_of_date
left join gave_back on gave_back.customer_id = spine.customer_id and gave_back.as_of_date = spine.as_of_date
