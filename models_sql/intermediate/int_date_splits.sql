-- Grain: one row per date of the calendar: what it is for (train, calibrate, test, score), ordered in
-- time so that the window of a label never reaches into what comes after it, as far as history allows.
{{ config(materialized="view") }}

with
    dates as (select * from {{ ref("int_calendar") }}),

    labelled as (
        select
            as_of_date,
            label_known_at,
            min(label_known_at) over () as first_label_known_at,
            row_number() over (order by as_of_date desc) as newest_first,
            count(*) over () as date_count
        from dates
        where is_labelled
    ),

    test_start as (
        select min(as_of_date) as as_of_date
        from labelled
        where
            as_of_date >= first_label_known_at
            and newest_first <= greatest(1, floor({{ setting("test_size") }} * date_count))
    ),

    fitted as (
        select
            labelled.as_of_date,
            labelled.label_known_at,
            row_number() over (order by labelled.as_of_date desc) as newest_first,
            count(*) over () as date_count
        from labelled
        inner join test_start on labelled.label_known_at <= test_start.as_of_date
    ),

    calibrate_start as (
        select min(as_of_date) as as_of_date
        from fitted
        where date_count > 1 and newest_first <= greatest(1, floor({{ setting("val_size") }} * date_count))
    ),

    -- where no train window ends before the calibration date, windows may overlap
    train_ends as (
        select
            max(fitted.as_of_date) as newest,
            max(
                case when fitted.label_known_at <= calibrate_start.as_of_date then fitted.as_of_date end
            ) as newest_apart
        from fitted
        cross join calibrate_start
    )

select
    dates.as_of_date,
    cast(
        case
            when dates.is_scoring_date
            then 'score'
            when not dates.is_labelled
            then 'unlabelled'
            when dates.as_of_date >= test_start.as_of_date
            then 'test'
            when fitted.as_of_date >= calibrate_start.as_of_date
            then 'calibrate'
            when fitted.as_of_date <= coalesce(train_ends.newest_apart, train_ends.newest)
            then 'train'
            else 'embargo'
        end as string
    ) as split
from dates
left join fitted on fitted.as_of_date = dates.as_of_date
cross join test_start
cross join calibrate_start
cross join train_ends
