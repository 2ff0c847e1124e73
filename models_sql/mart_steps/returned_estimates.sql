-- Grain: one row, or none before any date is labelled: what customers who had returned everything went on
-- to spend in the horizon, on all dates whose answer is known. Few such cases say little: what buyers of
-- a single order spent stands in for the first ones, in the bounds as in the mean.
{% set outside = (1 - setting("interval_coverage")) / 2 %}

with
    labels as (select * from {{ ref("customer_labels") }}),

    behavior as (select * from {{ ref("customer_behavior") }}),

    purchases as (select * from {{ ref("customer_rfm") }}),

    cases as (
        select
            case when behavior.behavior_type = 'returned' then 1 else 0 end as is_returned,
            labels.label_revenue,
            case when labels.label_purchases = 0 then 1 else 0 end as stayed_away
        from labels
        inner join
            behavior on behavior.customer_id = labels.customer_id and behavior.as_of_date = labels.as_of_date
        inner join
            purchases
            on purchases.customer_id = labels.customer_id
            and purchases.as_of_date = labels.as_of_date
        where behavior.behavior_type = 'returned' or purchases.total_purchases = 1
    ),

    sums as (
        select
            sum(is_returned) as returned_cases,
            sum(is_returned * label_revenue) as returned_revenue,
            sum(is_returned * stayed_away) as returned_away,
            sum(1 - is_returned) as single_cases,
            sum((1 - is_returned) * label_revenue) as single_revenue,
            sum((1 - is_returned) * stayed_away) as single_away
        from cases
    ),

    stood_in as (
        select
            sums.*,
            case when single_cases > 0 then {{ returned_cases_stood_in() }} else 0 end as stand_ins,
            coalesce({{ ratio("single_revenue", "single_cases") }}, 0.0e0) as single_mean,
            coalesce({{ ratio("single_away", "single_cases") }}, 0.0e0) as single_away_share
        from sums
    ),

    -- in whole numbers: a case of its own counts as often as there are single orders to share a stand-in
    weighed as (
        select
            label_revenue,
            case when is_returned = 1 then greatest(single_cases, 1) else stand_ins end as weight
        from cases
        cross join stood_in
    ),

    reached as (
        select
            label_revenue,
            {{ ratio("sum(weight) over (order by label_revenue nulls last)", "sum(weight) over ()") }}
            as share
        from weighed
    ),

    -- rounded, or a sum of tenths misses the tenth that it is
    bounds as (
        select
            min(
                case when round(share, 9) >= {{ outside | round(9) }}e0 then label_revenue end
            ) as low_revenue,
            min(
                case when round(share, 9) >= {{ (1 - outside) | round(9) }}e0 then label_revenue end
            ) as high_revenue
        from reached
    )

select
    cast(returned_cases as bigint) as case_count,
    {{ money(
        "greatest(0.0e0, (cast(returned_revenue as double) + stand_ins * single_mean) / (returned_cases + stand_ins))"
    ) }}
    as expected_revenue,
    cast(greatest(0.0e0, cast(low_revenue as double)) * {{ discount_factor() }} as double) as clv_low,
    cast(greatest(0.0e0, cast(high_revenue as double)) * {{ discount_factor() }} as double) as clv_high,
    cast(
        (returned_away + stand_ins * single_away_share) / (returned_cases + stand_ins) as double
    ) as churn_probability
from stood_in
cross join bounds
where returned_cases + stand_ins > 0
