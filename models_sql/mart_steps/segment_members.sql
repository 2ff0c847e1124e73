-- Grain: segmentation x customer_id: every customer in each of their segments (in `all`, by type, value
-- fifth, RFM segment, value tier and declared attribute), with what their value and its uncertainty are
-- made of, and what was predicted for them on the scoring date before.
with
    customers as (select * from {{ ref("customer_clv") }}),

    predictions as (select * from {{ ref("customer_predictions") }}),

    bins as (select * from {{ ref("calibration") }}),

    segments as (select * from {{ ref("customer_segments") }}),

    attributes as (select * from {{ ref("attribute_segments") }}),

    history as (select * from {{ ref("customer_clv_history") }} where is_comparable),

    today as (select max(as_of_date) as as_of_date from customers),

    previous_date as (
        select max(history.as_of_date) as as_of_date
        from history
        inner join today on history.as_of_date < today.as_of_date
    ),

    previous as (
        select history.customer_id, history.clv_predicted, history.model_version
        from history
        inner join previous_date on previous_date.as_of_date = history.as_of_date
    ),

    spread as (
        select
            customers.customer_id,
            customers.as_of_date,
            customers.behavior_type,
            segments.rfm_segment,
            segments.value_tier,
            coalesce(cast(segments.value_score as string), 'none') as value_fifth,
            customers.clv_estimate,
            predictions.clv_predicted,
            predictions.clv_predicted
            * bins.ratio_sd
            * predictions.clv_predicted
            * bins.ratio_sd as own_variance,
            bins.level_log_sd,
            bins.coverage,
            previous_date.as_of_date as previous_as_of_date,
            previous.clv_predicted as previous_predicted,
            coalesce(previous.model_version <> predictions.model_version, false) as is_other_model
        from customers
        inner join segments on segments.customer_id = customers.customer_id
        cross join previous_date
        left join
            predictions
            on predictions.customer_id = customers.customer_id
            and predictions.as_of_date = customers.as_of_date
            and predictions.model_version = customers.clv_model_version
        left join
            bins
            on bins.bin_number = predictions.calibration_bin
            and bins.model_version = predictions.model_version
        left join previous on previous.customer_id = customers.customer_id
    ),

    members as (
        select spread.*, 'all' as segmentation, 'all' as segment
        from spread
        union all
        select spread.*, 'behavior_type' as segmentation, behavior_type as segment
        from spread
        union all
        select spread.*, 'value_fifth' as segmentation, value_fifth as segment
        from spread
        union all
        select spread.*, 'rfm_segment' as segmentation, rfm_segment as segment
        from spread
        union all
        select spread.*, 'value_tier' as segmentation, value_tier as segment
        from spread
        union all
        select spread.*, attributes.attribute as segmentation, attributes.segment
        from spread
        inner join attributes on attributes.customer_id = spread.customer_id
    )

select
    cast(segmentation as string) as segmentation,
    cast(segment as string) as segment,
    customer_id,
    as_of_date,
    clv_estimate,
    clv_predicted,
    own_variance,
    level_log_sd,
    coverage,
    previous_as_of_date,
    previous_predicted,
    is_other_model
from members
