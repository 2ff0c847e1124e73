-- Grain: one row per measure, an output of the model: what was predicted on the scoring date and on the
-- scoring date before it, as far as predictions of it are kept.
{% set outputs = ["clv_predicted", "clv_typical", "clv_low", "clv_high", "clv_prediction_confidence", "churn_probability"] %}

with
    dates as (select as_of_date from {{ ref("as_of_dates") }} where is_scoring_date),

    scored as (select * from {{ ref("customer_clv") }} where clv_predicted is not null),

    predictions as (select * from {{ ref("customer_predictions") }}),

    date_before as (
        select max(predictions.as_of_date) as as_of_date
        from predictions
        inner join dates on predictions.as_of_date < dates.as_of_date
    ),

    scored_before as (
        select predictions.*
        from predictions
        inner join date_before on date_before.as_of_date = predictions.as_of_date
    ),

    counted as ({{ counted_values(outputs, "scored") }}),

    counted_before as ({{ counted_values(outputs, "scored_before") }}),

    bins as ({{ tenths_of("counted_before") }}),

    found as ({{ found_in_tenths("bins", "counted") }}),

    compared as ({{ stability_of("found") }}),

    totals as ({{ totals_of("counted") }}),

    totals_before as ({{ totals_of("counted_before") }}),

    versions as (select max(clv_model_version) as model_version from scored),

    versions_before as (
        select max(as_of_date) as as_of_date, max(model_version) as model_version from scored_before
    )

select
    cast(totals.measure as string) as measure,
    versions.model_version,
    versions_before.as_of_date as previous_as_of_date,
    versions_before.model_version as previous_model_version,
    cast(totals.customers as bigint) as customers,
    cast(totals_before.customers as bigint) as previous_customers,
    cast(totals.total as decimal(18, 2)) as total,
    cast(totals_before.total as decimal(18, 2)) as previous_total,
    cast(compared.psi as double) as psi,
    cast(compared.upper_half_change as double) as upper_half_change
from totals
left join totals_before on totals_before.measure = totals.measure
left join compared on compared.measure = totals.measure
cross join versions
cross join versions_before
