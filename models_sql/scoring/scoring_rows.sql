-- Grain: customer_id, for everyone who had bought by the scoring date: the columns that a model may read.
-- The same columns as `training_rows`, without the answer.
{{ config(materialized="view") }}

with
    dates as (select * from {{ ref("as_of_dates") }} where is_scoring_date),

    features as (select * from {{ ref("customer_features") }}),

    baselines as (select * from {{ ref("customer_baselines") }}),

    anchors as (select * from {{ ref("customer_anchors") }})

select
    features.customer_id,
    features.as_of_date,
    {{ feature_columns("customer_features", "features") }}
    {{ feature_columns("customer_baselines", "baselines") }}
    {{ feature_columns("customer_anchors", "anchors") }}
    anchors.build_hash
from dates
inner join features on features.as_of_date = dates.as_of_date
inner join
    baselines on baselines.customer_id = features.customer_id and baselines.as_of_date = features.as_of_date
inner join anchors on anchors.customer_id = features.customer_id and anchors.as_of_date = features.as_of_date
