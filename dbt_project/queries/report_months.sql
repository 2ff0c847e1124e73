-- Net revenue of each of the last 24 months, the newest last and not whole; what stands on the scoring date.
with
    dates as (select as_of_date from as_of_dates where is_scoring_date),

    months as (
        select
            cast(date_trunc('month', entries.happened_at) as date) as month,
            sum(entries.amount) as revenue,
            max(dates.as_of_date) as as_of_date
        from money_entries as entries
        cross join dates
        group by month
    )

select month, revenue, month + interval '1 month' <= as_of_date as is_whole
from months
where month >= date_trunc('month', as_of_date) - interval '24 months'
order by month
