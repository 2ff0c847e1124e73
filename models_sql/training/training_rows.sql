-- Grain: customer_id x as_of_date, for customers who had bought and dates whose label is final: features,
-- label, split.
{{ config(materialized="view") }}

with
    dates as (select * from {{ ref("as_of_dates") }}),

    purchases as (select * from {{ ref("customer_rfm") }}),

    features as (select * from {{ ref("customer_features") }}),

    baselines as (select * from {{ ref("customer_baselines") }}),

    anchors as (select * from {{ ref("customer_anchors") }}),

    labels as (select * from {{ ref("customer_labels") }})

select
    features.customer_id,
    features.as_of_date,
    {{ feature_columns("customer_features", "features") }}
    {{ feature_columns("customer_baselines", "baselines") }}
    {{ feature_columns("customer_anchors", "anchors") }}
    labels.label_revenue,
    labels.label_purchases,
    dates.split,
    purchases.total_purchases >= {{ setting("min_purchases_for_training") }}
    and {{ days_between("purchases.first_purchase_at", "purchases.as_of_date") }}
    >= {{ setting("min_history_days") }} as is_trainable,
    anchors.build_hash
from features
inner join
    purchases on purchases.customer_id = features.customer_id and purchases.as_of_date = features.as_of_date
inner join
    baselines on baselines.customer_id = features.customer_id and baselines.as_of_date = features.as_of_date
inner join anchors on anchors.customer_id = features.customer_id and anchors.as_of_date = features.as_of_date
inner join labels on labels.customer_id = features.customer_id and labels.as_of_date = features.as_of_date
inner join dates on dates.as_of_date = features.as_of_date
