-- How value grows: what a customer has brought by each month since the first order. On average, by the
-- year they were won in. Only months that are whole for every cohort of the year, so that each line is
-- about the same customers.
with
    cells as (
        select
            extract(year from cohort_month) as cohort_year,
            months_since,
            sum(cumulative_revenue) as revenue,
            sum(customer_count) as customers,
            count(*) as cohorts
        from cohort_months
        where dimension = 'all' and is_complete
        group by cohort_year, months_since
    ),

    wholes as (select cells.*, max(cohorts) over (partition by cohort_year) as all_cohorts from cells)

select cohort_year, months_since, cast(revenue as double) / customers as revenue_mean, customers
from wholes
where cohorts = all_cohorts and customers > 0
order by cohort_year, months_since
