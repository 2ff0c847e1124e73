-- Grain: estimator: the baselines that have a value for everybody on the scoring date, best first. Best is
-- the least deviance on the dates whose horizon is past, over that of the simple estimate on the same dates;
-- where no horizon is past, a stated order. Deviance: of a compound Poisson (Tweedie 1.5), which a mean
-- makes least.
with
    dates as (select * from {{ ref("as_of_dates") }} where is_scoring_date),

    results as (select * from {{ ref("past_baselines") }}),

    usable as (
        select distinct results.estimator
        from results
        inner join dates on dates.as_of_date = results.as_of_date
    ),

    -- a little of the mean for everybody, as in the anchor, keeps a customer's deviance finite
    compared as (
        select
            estimator,
            as_of_date,
            sqrt(cast(greatest(label_revenue, 0) as double)) as root_of_actual,
            sqrt(
                greatest(
                    {{ smallest_value() }},
                    {{ anchor_estimate_share() }} * cast(expected_revenue as double)
                    + {{ anchor_mean_share() }} * mean_value
                )
            ) as root_of_expected
        from results
        where label_revenue is not null
    ),

    -- in millionths, so that sums are exact
    deviances as (
        select
            estimator,
            as_of_date,
            sum(
                {{ whole(
                    "1000000.0E0 * "
                    ~ ratio("(root_of_actual - root_of_expected) * (root_of_actual - root_of_expected)", "root_of_expected")
                ) }}
            ) as deviance
        from compared
        group by estimator, as_of_date
    ),

    relative as (
        select
            deviances.estimator,
            count(*) as date_count,
            round({{ ratio("sum(deviances.deviance)", "sum(simple.deviance)") }}, 9) as relative_deviance
        from deviances
        inner join
            deviances as simple on simple.as_of_date = deviances.as_of_date and simple.estimator = 'simple'
        group by deviances.estimator
    )

select
    usable.estimator,
    cast(
        row_number() over (
            order by
                relative.relative_deviance nulls last,
                case
                    usable.estimator
                    when 'btyd'
                    then 1
                    when 'empirical_bayes'
                    then 2
                    when 'persistence'
                    then 3
                    when 'simple'
                    then 5
                    else 4
                end nulls last,
                usable.estimator nulls last
        ) as int
    ) as place,
    cast(coalesce(relative.date_count, 0) as int) as known_date_count,
    relative.relative_deviance
from usable
left join relative on relative.estimator = usable.estimator
