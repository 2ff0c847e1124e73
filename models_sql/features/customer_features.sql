-- Grain: customer_id x as_of_date. Every feature that needs nothing fitted, gathered from the tables
-- of this folder, and the simple estimate that is the fallback and the baseline of record.
with
    spine as (select * from {{ ref("int_spine") }} where {{ is_wanted("as_of_date") }}),

    rfm as (select * from {{ ref("customer_rfm") }} where {{ is_wanted("as_of_date") }}),

    intervals as (select * from {{ ref("customer_intervals") }} where {{ is_wanted("as_of_date") }}),

    engagement as (select * from {{ ref("customer_engagement") }} where {{ is_wanted("as_of_date") }}),

    seasonality as (select * from {{ ref("customer_seasonality") }} where {{ is_wanted("as_of_date") }}),

    categories as (select * from {{ ref("customer_categories") }} where {{ is_wanted("as_of_date") }}),

    behavior as (select * from {{ ref("customer_behavior") }} where {{ is_wanted("as_of_date") }}),

    attributes as (select * from {{ ref("customer_attributes") }} where {{ is_wanted("as_of_date") }})

select
    spine.customer_id,
    spine.as_of_date,
    {{ feature_columns("customer_rfm", "rfm") }}
    {{ feature_columns("customer_intervals", "intervals") }}
    {{ feature_columns("customer_engagement", "engagement") }}
    {{ feature_columns("customer_seasonality", "seasonality") }}
    {{ feature_columns("customer_categories", "categories") }}
    {{ feature_columns("customer_behavior", "behavior") }}
    {{ feature_columns("customer_attributes", "attributes") }}
    {{ money(
        "rfm.purchase_frequency_per_month * coalesce(rfm.avg_order_value, 0.0E0) * "
        ~ horizon_months() ~ " * " ~ discount_factor()
    ) }} as simple_clv_estimate,
    spine.build_hash
from spine
inner join rfm on rfm.customer_id = spine.customer_id and rfm.as_of_date = spine.as_of_date
inner join intervals on intervals.customer_id = spine.customer_id and intervals.as_of_date = spine.as_of_date
inner join
    engagement on engagement.customer_id = spine.customer_id and engagement.as_of_date = spine.as_of_date
inner join
    seasonality on seasonality.customer_id = spine.customer_id and seasonality.as_of_date = spine.as_of_date
inner join
    categories on categories.customer_id = spine.customer_id and categories.as_of_date = spine.as_of_date
inner join behavior on behavior.customer_id = spine.customer_id and behavior.as_of_date = spine.as_of_date
inner join
    attributes on attributes.customer_id = spine.customer_id and attributes.as_of_date = spine.as_of_date
