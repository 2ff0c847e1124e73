-- Grain: one row per as_of_date: the newest fitted parameters known by then, one column each (NULL before
-- the first fit), and a hash of the date's features and these parameters.
{{ config(materialized="table") }}
{% set names = fitted_names() %}

with
    dates as (select * from {{ ref("as_of_dates") }}),

    -- a fit of features that have changed since is not used, nor one on less than twelve weeks of
    -- history: it converges, and says little
    parameters as (
        select stored.*
        from {{ source("model", "fitted_parameters") }} as stored
        inner join dates on dates.as_of_date = stored.fitted_as_of and dates.build_hash = stored.build_hash
        where dates.shop_age_days >= {{ least_fit_days() }}
    ),

    newest as (
        select dates.as_of_date, max(parameters.fitted_as_of) as fitted_as_of
        from dates
        left join parameters on parameters.fitted_as_of <= dates.as_of_date
        group by dates.as_of_date
    ),

    fitted as (
        select
            newest.as_of_date,
            newest.fitted_as_of,
            {%- for name in names %}
                max(
                    case when parameters.name = '{{ name }}' then parameters.parameter_value end
                ) as {{ name }}
                {{- "," if not loop.last }}
            {%- endfor %}
        from newest
        left join parameters on parameters.fitted_as_of = newest.fitted_as_of
        group by newest.as_of_date, newest.fitted_as_of
    )

select
    fitted.as_of_date,
    fitted.fitted_as_of,
    {%- for name in names %} cast(fitted.{{ name }} as double) as {{ name }}, {%- endfor %}
    {{ build_hash(
        ["dates.build_hash"] + hashed_numbers("fitted", names)
    ) }} as build_hash
from fitted
inner join dates on dates.as_of_date = fitted.as_of_date
