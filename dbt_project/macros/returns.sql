{#- Returns: when a refund is held against sales, and which sale it takes back. -#}
{#- The latest instant that a line's `known_at` may stand for. A refund at midnight, by UTC or on the shop's clock, is one
    with a date alone: it may be of any time of that day. -#}
{% macro settles_at(is_refund, known_at) -%}
    case
        when
            {{ is_refund }}
            and (
                date_trunc('day', {{ known_at }}) = {{ known_at }}
                or date_trunc('day', {{ shop_time(known_at) }}) = {{ shop_time(known_at) }}
            )
        then {{ end_of_day(known_at) }}
        else {{ known_at }}
    end
{%- endmacro %}

{#- Whether what is left of a sale after its return is but a rounding difference, or less than nothing: then the sale came
    to nothing. A sale for nothing comes to nothing by a return of nothing. -#}
{% macro is_taken_back(sold, balance) -%}
    (
        {{ balance }} = 0
        or ({{ sold }} > {{ rounding_difference() }} and {{ balance }} <= {{ rounding_difference() }})
    )
{%- endmacro %}

{#- The CTEs up to `priced`: each sale and refund of a CTE (unit_id, customer_id, subject, currency, price, is_refund,
    occurred_at, known_at), a refund at the sale price that its own money is nearest to. -#}
{% macro at_sale_prices(units) -%}
    sale_prices as (
        select customer_id, subject, currency, price, min(known_at) as known_at
        from {{ units }}
        where not is_refund
        group by customer_id, subject, currency, price
    ),

    -- of the prices known by then, and a rounding difference away at most
    nearest_prices as (
        select
            refunds.customer_id,
            refunds.unit_id,
            sale_prices.price,
            row_number() over (
                partition by refunds.customer_id, refunds.unit_id
                order by abs(sale_prices.price - refunds.price), sale_prices.price nulls last
            ) as place
        from {{ units }} as refunds
        inner join
            sale_prices
            on sale_prices.customer_id = refunds.customer_id
            and sale_prices.subject = refunds.subject
            and sale_prices.currency = refunds.currency
            and abs(sale_prices.price - refunds.price) <= {{ rounding_difference() }}
            and sale_prices.known_at <= {{ settles_at("refunds.is_refund", "refunds.known_at") }}
        where refunds.is_refund
    ),

    priced as (
        select
            units.unit_id,
            units.customer_id,
            units.subject,
            units.currency,
            units.is_refund,
            units.occurred_at,
            units.known_at,
            units.price as own_price,
            coalesce(nearest_prices.price, units.price) as price,
            {{ settles_at("units.is_refund", "units.known_at") }} as settles_at
        from {{ units }} as units
        left join
            nearest_prices
            on nearest_prices.customer_id = units.customer_id
            and nearest_prices.unit_id = units.unit_id
            and nearest_prices.place = 1
            and units.is_refund
    )
{%- endmacro %}

{#- The CTEs up to `taken_back`: which refund takes back which sale, of what `at_sale_prices` takes. It is the latest sale
    of the same customer and subject that is still open. Sales and refunds are opening and closing brackets; a pair shares
    its depth. -#}
{% macro taken_back(units) -%}
    {%- set key = "customer_id, subject, currency, price" -%}
    {%- set order = "settles_at nulls last, is_refund, occurred_at, unit_id" -%}
    {%- set so_far = "partition by " ~ key ~ " order by " ~ order ~ " rows between unbounded preceding and current row" -%}
    {{ at_sale_prices(units) }},

    brackets as (
        select priced.*, sum(case when is_refund then -1 else 1 end) over ({{ so_far }}) as running
        from priced
    ),

    floored as (
        select brackets.*, running - least(0, min(running) over ({{ so_far }})) as open_after from brackets
    ),

    depths as (
        select
            floored.*,
            case
                when is_refund
                then lag(open_after) over (partition by {{ key }} order by {{ order }} nulls last)
                else open_after
            end as depth
        from floored
    ),

    neighbours as (
        select
            depths.*,
            lead(known_at) over same_depth as refund_known_at,
            lead(unit_id) over same_depth as refund_id,
            lead(own_price) over same_depth as refund_price
        from depths
        where depth > 0
        window same_depth as (partition by {{ key }}, depth order by {{ order }} nulls last)
    ),

    taken_back as (
        select
            unit_id as sale_id,
            refund_id,
            customer_id,
            price,
            price - refund_price as rest,
            occurred_at as sold_at,
            greatest(known_at, refund_known_at) as refunded_at
        from neighbours
        where not is_refund and refund_id is not null
    )
{%- endmacro %}
