-- Fails on train and calibrate dates whose label reaches into the time that a test date looks forward to.
with
    dates as (select * from {{ ref("as_of_dates") }}),

    test_start as (select min(as_of_date) as as_of_date from dates where split = 'test')

select dates.as_of_date, dates.split, dates.label_known_at, test_start.as_of_date as test_start
from dates
inner join test_start on dates.label_known_at > test_start.as_of_date
where dates.split in ('train', 'calibrate')
