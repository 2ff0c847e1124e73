-- Grain: customer_id x as_of_date x is_comparison: the purchases that an estimate is made from, in the units
-- of the papers, with the parameters that were fitted by the date. Due dates are the customer's own: a
-- comparison has none.
{{ config(materialized="view") }}

with
    estimates as (select * from {{ ref("buyer_estimates") }}),

    fitted as (select * from {{ ref("fitted_dates") }}),

    clocks as (select * from {{ ref("buyer_clocks") }})

select
    estimates.*,
    estimates.repeats as x,
    estimates.recency_weeks as t_x,
    estimates.age_weeks as t,
    fitted.bgnbd_r,
    fitted.bgnbd_alpha,
    fitted.bgnbd_a,
    fitted.bgnbd_b,
    fitted.paretonbd_r,
    fitted.paretonbd_alpha,
    fitted.paretonbd_s,
    fitted.paretonbd_beta,
    fitted.gammagamma_p,
    fitted.gammagamma_q,
    fitted.gammagamma_gamma,
    fitted.renewal_a,
    fitted.renewal_b,
    clocks.regular_share,
    clocks.clock_share,
    clocks.silent_days,
    clocks.log_gap,
    clocks.log_gap_std,
    fitted.build_hash
from estimates
inner join fitted on fitted.as_of_date = estimates.as_of_date
left join
    clocks
    on clocks.customer_id = estimates.customer_id
    and clocks.as_of_date = estimates.as_of_date
    and not estimates.is_comparison
