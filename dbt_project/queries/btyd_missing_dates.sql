-- Grain: as_of_date of the grid without the row $marker of a fit on today's features.
select dates.as_of_date, dates.build_hash
from as_of_dates as dates
left join
    fitted_parameters as fitted
    on fitted.fitted_as_of = dates.as_of_date
    and fitted.build_hash = dates.build_hash
    and fitted.name = $marker
where dates.is_grid and fitted.fitted_as_of is null
order by dates.as_of_date
