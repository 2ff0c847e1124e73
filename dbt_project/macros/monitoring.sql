{#- How far a population moved from another one, by the population stability index. That is taken over tenths of the
    first and the share of the second in each. Features and predictions are compared by the same four steps. -#}
{#- Every value of some columns with the number of rows that have it, NULL included: measure, measure_value, row_count. -#}
{% macro counted_values(names, relation, dated=false) -%}
    {%- set date = "as_of_date, " if dated else "" -%}
    {%- if names %}
        -- one pass over the rows: a union of a pass for each column would read the relation, often a view,
        -- as many times
        select {{ date }}entry.measure as measure, entry.measure_value as measure_value, count(*) as row_count
        from (select {{ date }}{{ explode(named_values(names)) }} as entry from {{ relation }}) as entries
        group by {{ date }}entry.measure, entry.measure_value
    {%- else %}
        select
            {{ "cast(null as date) as as_of_date," if dated }}
            cast(null as string) as measure,
            cast(null as double) as measure_value,
            cast(0 as bigint) as row_count
        where false
    {%- endif %}
{%- endmacro %}

{#- Tenths of each measure, as ranges (value_above, value_to]. Equal values stay together, so that a frequent one makes
    fewer than ten. Bin 0 holds the rows without a value. -#}
{% macro tenths_of(counted) -%}
    select
        measure,
        bin_number,
        coalesce(
            lag(max(measure_value)) over (partition by measure order by bin_number nulls last),
            cast('-Infinity' as double)
        ) as value_above,
        case
            when max(bin_number) over (partition by measure) = bin_number
            then cast('Infinity' as double)
            else max(measure_value)
        end as value_to,
        cast(sum(row_count) as bigint) as row_count
    from
        (
            select
                measure,
                measure_value,
                row_count,
                1 + cast(floor({{ ratio("10 * rows_before", "rows_with_value") }}) as int) as bin_number
            from
                (
                    select
                        measure,
                        measure_value,
                        row_count,
                        sum(row_count) over (
                            partition by measure
                            order by measure_value nulls last
                            rows between unbounded preceding and current row
                        )
                        - row_count as rows_before,
                        sum(row_count) over (partition by measure) as rows_with_value
                    from {{ counted }}
                    where measure_value is not null
                ) as ordered
        ) as placed
    group by measure, bin_number
    union all
    select
        measure,
        0 as bin_number,
        cast(null as double) as value_above,
        cast(null as double) as value_to,
        cast(sum(case when measure_value is null then row_count else 0 end) as bigint) as row_count
    from {{ counted }}
    group by measure
    union all
    -- a measure without any value takes what another population has of it in one bin
    select
        measure,
        1 as bin_number,
        cast('-Infinity' as double) as value_above,
        cast('Infinity' as double) as value_to,
        cast(0 as bigint) as row_count
    from {{ counted }}
    group by measure
    having count(measure_value) = 0
{%- endmacro %}

{#- The same bins with the rows of another population in each. -#}
{% macro found_in_tenths(bins, counted, dated=false) -%}
    {%- set date = "bins.as_of_date, " if dated else "" -%}
    select
        {{ date }}bins.measure,
        bins.bin_number,
        max(bins.row_count) as row_count,
        cast(coalesce(sum(counted.row_count), 0) as bigint) as found_count
    from {{ bins }} as bins
    left join
        {{ counted }} as counted on counted.measure = bins.measure
        {{ "and counted.as_of_date = bins.as_of_date" if dated }}
        and case
            when bins.bin_number = 0
            then counted.measure_value is null
            else counted.measure_value > bins.value_above and counted.measure_value <= bins.value_to
        end
    group by {{ date }}bins.measure, bins.bin_number
{%- endmacro %}

{#- Per measure: rows and missing shares of both populations, PSI = sum over tenths of (q - p) ln(q / p) where p and q are
    the shares of those with a value, neither taken below `least_bin_share`, and how much of it moved to the upper half. -#}
{% macro stability_of(found, dated=false) -%}
    {%- set keys = "as_of_date, measure" if dated else "measure" -%}
    select
        {{ keys }},
        cast(sum(row_count) as bigint) as row_count,
        cast(sum(found_count) as bigint) as found_count,
        {{ ratio("sum(case when bin_number = 0 then row_count end)", "sum(row_count)") }} as missing_rate,
        {{ ratio("sum(case when bin_number = 0 then found_count end)", "sum(found_count)") }}
        as found_missing_rate,
        {{ ratio("sum(case when bin_number > 5 then found_count else 0 end)", "max(found_with_value)") }}
        - {{ ratio("sum(case when bin_number > 5 then row_count else 0 end)", "max(rows_with_value)") }}
        as upper_half_change,
        cast(
            sum(
                {{ whole(
                    "case when bin_number > 0 and rows_with_value > 0 and found_with_value > 0 then 1000000000.0E0 * (found_share - share) * ln(found_share / nullif(share, 0.0E0)) end"
                ) }}
            ) as double
        )
        / 1000000000.0e0 as psi
    from
        (
            select
                counted.*,
                greatest({{ ratio("row_count", "rows_with_value") }}, {{ least_bin_share() }}) as share,
                greatest(
                    {{ ratio("found_count", "found_with_value") }}, {{ least_bin_share() }}
                ) as found_share
            from
                (
                    select
                        {{ keys }},
                        bin_number,
                        row_count,
                        found_count,
                        sum(case when bin_number > 0 then row_count end) over (
                            partition by {{ keys }}
                        ) as rows_with_value,
                        sum(case when bin_number > 0 then found_count end) over (
                            partition by {{ keys }}
                        ) as found_with_value
                    from {{ found }}
                ) as counted
        ) as shares
    group by {{ keys }}
{%- endmacro %}

{#- Whether the actual fell within `came_true_share` of the prediction, or within confidence_floor of one below it. -#}
{% macro came_true(actual, predicted) -%}
    (
        abs({{ actual }} - {{ predicted }}) <= case
            when {{ predicted }} < {{ setting("confidence_floor") }}
            then {{ setting("confidence_floor") }}
            else {{ came_true_share() }} * {{ predicted }}
        end
    )
{%- endmacro %}

{#- The dates that a model learned from, where the table of bins does not know the model yet; else none. -#}
{% macro training_dates_without_bins(model) -%}
    {%- if model is none -%} {{ return([]) }} {%- endif -%}
    {%- if is_incremental() -%}
        {%- set known = run_query("select count(*) as bins from " ~ this ~ " where model_version = '" ~ model.version ~ "'") -%}
        {%- if known.columns[0].values()[0] > 0 -%} {{ return([]) }} {%- endif -%}
    {%- endif -%}
    {{ return(model.training_dates) }}
{%- endmacro %}

{#- Per measure: rows with a value, and the sum of the values. -#}
{% macro totals_of(counted) -%}
    select
        measure,
        sum(case when measure_value is not null then row_count else 0 end) as customers,
        cast(sum({{ whole("100.0E0 * measure_value * row_count") }}) as decimal(28, 0)) * 0.01 as total
    from {{ counted }}
    group by measure
{%- endmacro %}
