-- Grain: one row per date that features exist for: the first of each month (the training grid), today's
-- scoring date, and
-- the scoring dates of the last weeks. The split in time, and the hash under which a stored date may be
-- reused, live here.
with
    events as (select known_at, amount from {{ ref("int_events") }}),

    ids as (select * from {{ ref("stg_id_history") }}),

    rates as (select * from {{ ref("stg_fx_rates") }}),

    attributes as (
        select * from {{ ref("stg_attributes") }} {{ "where false" if not setting("customer_attributes") }}
    ),

    scoring_dates as (select * from {{ ref("int_scoring_dates") }}),

    -- the calendar
    day_numbers as (
        select cast(day_number as int) as day_number
        from (select {{ explode(whole_numbers(0, 9999)) }} as day_number) as listed
    ),

    today as (select * from {{ ref("int_today") }}),

    grid as (
        -- counted back from today, so that one event of 1970 does not use up the days
        select cast(today.as_of_date - day_numbers.day_number as date) as as_of_date
        from today
        cross join day_numbers
        where
            today.as_of_date - day_numbers.day_number >= today.opened_on + {{ setting("first_training_day") }}
            and day_numbers.day_number <= {{ setting("grid_days_kept") }}
            and extract(day from cast(today.as_of_date - day_numbers.day_number as date)) = 1
    ),

    wanted as (
        select as_of_date, max(is_grid) as is_grid
        from
            (
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
            ) as asked
        group by as_of_date
    ),

    -- the split, ordered in time
    dated as (
        select
            wanted.as_of_date,
            wanted.is_grid = 1 as is_grid,
            wanted.as_of_date = today.as_of_date as is_scoring_date,
            {{ label_known_at("wanted.as_of_date") }} as label_known_at,
            wanted.is_grid = 1
            and {{ label_known_at("wanted.as_of_date") }} <= today.as_of_date as is_labelled
        from wanted
        cross join today
    ),

    labelled as (
        select
            as_of_date,
            label_known_at,
            min(label_known_at) over () as first_label_known_at,
            row_number() over (order by as_of_date desc) as newest_first,
            count(*) over () as date_count
        from dated
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
    train_end as (
        select
            case
                when count(case when fitted.label_known_at <= calibrate_start.as_of_date then 1 end) > 0
                then
                    max(
                        case
                            when fitted.label_known_at <= calibrate_start.as_of_date then fitted.as_of_date
                        end
                    )
                else max(fitted.as_of_date)
            end as as_of_date
        from fitted
        cross join calibrate_start
    ),

    -- the hash
    inputs as (
        select
            coalesce(ids_part.fingerprint, '0') as id_fingerprint,
            coalesce(rates_part.fingerprint, '0') as rate_fingerprint
        from
            (
                select
                    cast(
                        sum({{ wide(md5_number("old_customer_id || '>' || new_customer_id")) }}) as string
                    ) as fingerprint
                from ids
            ) as ids_part
        cross join
            (
                select
                    cast(
                        sum(
                            {{ wide(md5_number(
                                "currency || '@' || cast(" ~ epoch_seconds("valid_from") ~ " as string) || '='"
                                ~ " || cast(cast(rate_to_reporting as decimal(18, 8)) as string)"
                            )) }}
                        ) as string
                    ) as fingerprint
                from rates
            ) as rates_part
    ),

    event_days as (
        select cast(known_at as date) as known_on, count(*) as event_count, sum(coalesce(amount, 0)) as amount
        from events
        group by cast(known_at as date)
    ),

    attribute_days as (
        select
            cast(known_at as date) as known_on,
            sum(
                {{ wide(md5_number(
                    "customer_id || '@' || cast(" ~ epoch_seconds("known_at") ~ " as string) || '=' || attributes"
                )) }}
            ) as fingerprint
        from attributes
        group by cast(known_at as date)
    ),

    known_attributes as (
        select dated.as_of_date, cast(coalesce(sum(attribute_days.fingerprint), 0) as string) as fingerprint
        from dated
        left join attribute_days on {{ known_before("attribute_days.known_on", "dated.as_of_date") }}
        group by dated.as_of_date
    ),

    known as (
        select
            dated.as_of_date,
            cast(coalesce(sum(event_days.event_count), 0) as bigint) as event_count,
            cast(coalesce(sum(event_days.amount), 0) as decimal(18, 2)) as amount
        from dated
        left join event_days on {{ known_before("event_days.known_on", "dated.as_of_date") }}
        group by dated.as_of_date
    )

select
    cast(dated.as_of_date as date) as as_of_date,
    dated.is_grid,
    dated.is_scoring_date,
    cast(dated.label_known_at as timestamp) as label_known_at,
    dated.is_labelled,
    cast(
        case
            when dated.is_scoring_date
            then 'score'
            when not dated.is_labelled
            then 'unlabelled'
            when dated.as_of_date >= test_start.as_of_date
            then 'test'
            when fitted.as_of_date >= calibrate_start.as_of_date
            then 'calibrate'
            when fitted.as_of_date <= train_end.as_of_date
            then 'train'
            else 'embargo'
        end as string
    ) as split,
    cast({{ days_between("today.opened_on", "dated.as_of_date") }} as int) as shop_age_days,
    cast('{{ feature_hash() }}' as string) as feature_hash,
    {{ build_hash([
        "inputs.id_fingerprint",
        "inputs.rate_fingerprint",
        "cast(known.event_count as string)",
        "cast(known.amount as string)",
        "known_attributes.fingerprint"
    ]) }} as build_hash
from dated
inner join known on known.as_of_date = dated.as_of_date
inner join known_attributes on known_attributes.as_of_date = dated.as_of_date
left join fitted on fitted.as_of_date = dated.as_of_date
cross join test_start
cross join calibrate_start
cross join train_end
cross join inputs
cross join today
