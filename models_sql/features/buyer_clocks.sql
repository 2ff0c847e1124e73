-- Grain: customer_id x as_of_date, for customers who ever bought: how surely the customer buys by a clock,
-- by what their gaps would be among regular customers and among all others; and after how long, if so, the
-- next purchase is due. NULL where the shop has no regular customers.
{{ config(materialized="view") }}

with
    purchases as (select * from {{ ref("customer_rfm") }} where total_purchases > 0),

    fitted as (select * from {{ ref("fitted_dates") }}),

    known as (
        select
            purchases.customer_id,
            purchases.as_of_date,
            purchases.purchase_days - 1.0e0 as gaps,
            cast(purchases.days_since_last_purchase as double) as silent_days,
            coalesce(round(ln(purchases.typical_gap_days), 9), 0.0e0) as log_gap,
            coalesce(purchases.gap_log_std, 0.0e0) as log_gap_std,
            fitted.renewal_share,
            fitted.renewal_log_gap,
            fitted.renewal_between,
            fitted.renewal_within,
            fitted.renewal_other_log_gap,
            fitted.renewal_other_between
        from purchases
        inner join fitted on fitted.as_of_date = purchases.as_of_date
    ),

    varied as (select known.*, (gaps - 1.0e0) * log_gap_std * log_gap_std as squares from known),

    -- the own gap is drawn towards that of all regular customers, the harder the fewer gaps there are
    weighed as (
        select
            varied.*,
            {{ gap_likelihood("renewal_other_log_gap", "renewal_other_between", random_gap_variance()) }}
            - {{ gap_likelihood("renewal_log_gap", "renewal_between", "renewal_within") }}
            as log_evidence_against,
            {{ ratio(
                "renewal_between * renewal_within", "renewal_within + gaps * renewal_between"
            ) }} as own_variance
        from varied
    ),

    decided as (
        select
            weighed.*,
            (1.0e0 - renewal_share) * round(
                exp(
                    greatest(-{{ largest_exponent() }}, least({{ largest_exponent() }}, log_evidence_against))
                ),
                9
            ) as odds_against
        from weighed
    ),

    expected as (
        select
            decided.*,
            {{ ratio("renewal_share", "renewal_share + odds_against") }} as regular_share,
            round(
                own_variance * (
                    {{ ratio("renewal_log_gap", "renewal_between") }}
                    + {{ ratio("gaps * log_gap", "renewal_within") }}
                ),
                9
            ) as expected_log_gap,
            round(sqrt(own_variance + renewal_within), 9) as expected_log_gap_std
        from decided
    )

select
    customer_id,
    as_of_date,
    round(regular_share, 9) as regular_share,
    round(regular_share * (1.0e0 - renewal_within / {{ largest_regular_variance() }}), 9) as clock_share,
    silent_days,
    expected_log_gap as log_gap,
    expected_log_gap_std as log_gap_std
from expected
