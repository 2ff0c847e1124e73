-- Grain: as_of_date: when its window's total is known, what the level expected of it, and what came.
-- Both are logarithms to the probabilistic total; what came is NULL until it is known.
select
    levels.as_of_date,
    cast(dates.label_known_at as date) as known_at,
    levels.log_correction,
    case
        when levels.actual_total > 0 and levels.probabilistic_total > 0
        then ln(levels.actual_total / levels.probabilistic_total)
    end as log_actual
from shop_levels as levels
inner join as_of_dates as dates on dates.as_of_date = levels.as_of_date
order by levels.as_of_date
