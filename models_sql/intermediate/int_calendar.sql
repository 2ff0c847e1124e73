-- Grain: one row per date that features exist for: the first of each month (the training grid), today's
-- scoring date, and the scoring dates of the last weeks.
with
    today as (select * from {{ ref("int_today") }}),

    scoring_dates as (select * from {{ ref("int_scoring_dates") }}),

    day_numbers as (
        select cast(day_number as int) as day_number
        from (select {{ explode(whole_numbers(0, setting("grid_days_kept"))) }} as day_number) as listed
    ),

    grid as (
        -- counted back from today, so that one event of 1970 does not use up the days
        select cast(today.as_of_date - day_numbers.day_number as date) as as_of_date
        from today
        cross join day_numbers
        where
            today.as_of_date - day_numbers.day_number >= today.opened_on + {{ setting("first_training_day") }}
            and extract(day from cast(today.as_of_date - day_numbers.day_number as date)) = 1
    ),

    asked as (
        select as_of_date, 1 as is_grid
        from grid
        union all
        select scoring_dates.as_of_date, 0 as is_grid
        from scoring_dates
        cross join today
        where
            scoring_dates.as_of_date <= today.as_of_date
            and scoring_dates.as_of_date
            > today.as_of_date - interval '{{ setting("prune_scoring_days") }} days'
        union all
        select as_of_date, 0 as is_grid
        from today
    ),

    dates as (select as_of_date, max(is_grid) as is_grid from asked group by as_of_date)

select
    cast(dates.as_of_date as date) as as_of_date,
    dates.is_grid = 1 as is_grid,
    dates.as_of_date = today.as_of_date as is_scoring_date,
    cast({{ label_known_at("dates.as_of_date") }} as timestamp) as label_known_at,
    dates.is_grid = 1 and {{ label_known_at("dates.as_of_date") }} <= today.as_of_date as is_labelled,
    cast({{ days_between("today.opened_on", "dates.as_of_date") }} as int) as shop_age_days
from dates
cross join today
