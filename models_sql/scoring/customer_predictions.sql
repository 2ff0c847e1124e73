-- Grain: customer_id x as_of_date, for every scoring date so far: what the model predicted then. A date is
-- scored again only by another model or from other features, so that repeating a run changes nothing,
-- `scored_at` included.
{{ config(
    materialized="incremental",
    incremental_strategy="delete+insert" if target.type == "duckdb" else "insert_overwrite",
    tags=["challenger"],
    alias="challenger_predictions" if setting("is_challenger") else "customer_predictions",
    unique_key="(as_of_date, model_version)" if setting("is_challenger") else "as_of_date",
    partition_by="as_of_date" if target.type == "spark" else none
) }}
{% set model = scoring_plan().model %}

with
    candidates as (select * from {{ ref("scoring_rows") }}),

    bins as (select * from {{ ref("calibration") }}),
    {% if model is not none %}

        scored as (
            select
                customer_id,
                as_of_date,
                build_hash,
                days_since_last_purchase as recency_days,
                clv_score({{ model_struct(model) }}) as score
            from candidates
            where {{ not_yet_scored("candidates", model) }}
        ),

        predictions as (
            select
                customer_id,
                as_of_date,
                {%- for output in ["clv_predicted", "clv_typical", "clv_low", "clv_high", "churn_probability"] %}
                    {{ "score." ~ output if output in model.outputs else "null" }} as {{ output }},
                {%- endfor %}
                bins.bin_number as calibration_bin,
                bins.confidence as clv_prediction_confidence,
                cast('{{ model.version }}' as string) as model_version,
                cast('{{ model.feature_hash }}' as string) as feature_hash,
                {{ model.horizon_days }} as horizon_days,
                cast('{{ model.reporting_currency }}' as string) as reporting_currency,
                {{ model.annual_discount_rate }} as annual_discount_rate,
                {{ knew_later(model, "scored.as_of_date") }} as is_hindsight,
                current_timestamp as scored_at,
                scored.build_hash
            from scored
            left join
                bins
                on score.clv_predicted >= bins.predicted_from
                and score.clv_predicted < bins.predicted_below
                and coalesce(scored.recency_days, 0) >= bins.recency_from_days
                and coalesce(scored.recency_days, 0) < bins.recency_below_days
        )
    {% else %}

        predictions as (
            select
                customer_id,
                as_of_date,
                null as calibration_bin,
                null as clv_predicted,
                null as clv_typical,
                null as clv_low,
                null as clv_high,
                null as clv_prediction_confidence,
                null as churn_probability,
                cast(null as string) as model_version,
                cast(null as string) as feature_hash,
                null as horizon_days,
                cast(null as string) as reporting_currency,
                null as annual_discount_rate,
                null as is_hindsight,
                null as scored_at,
                build_hash
            from candidates
            where false
        )
    {% endif %}

select
    customer_id,
    as_of_date,
    cast(clv_predicted as double) as clv_predicted,
    cast(clv_typical as double) as clv_typical,
    cast(calibration_bin as int) as calibration_bin,
    cast(clv_low as double) as clv_low,
    cast(clv_high as double) as clv_high,
    cast(clv_prediction_confidence as double) as clv_prediction_confidence,
    cast(churn_probability as double) as churn_probability,
    model_version,
    feature_hash,
    cast(horizon_days as int) as horizon_days,
    reporting_currency,
    cast(annual_discount_rate as double) as annual_discount_rate,
    cast(is_hindsight as boolean) as is_hindsight,
    cast(scored_at as timestamp) as scored_at,
    build_hash
from predictions
