-- Grain: check_name x subject: the share of the rows and of the money that arrived which was lost, and which
-- guests brought, of whom no feed says who they are. What a later feed admitted is not lost, nor is a copy.
-- Money without an amount that can be read counts as the mean; of several currencies each counts in means.
with
    events as (select * from {{ ref("stg_events") }}),

    quarantine as (select * from {{ source("raw", "quarantine") }}),

    amounts as (select * from {{ source("raw", "refused_money") }}),

    admitted as (select * from {{ source("raw", "admitted") }}),

    entries as (
        select
            'kept' as check_name,
            case when event_type in ('purchase', 'refund') then 1 else 0 end as is_money,
            currency,
            abs(source_amount) as amount,
            cast(null as timestamp) as quarantined_at
        from events
        union all
        select
            case when quarantine.reason = 'no_customer_id' then 'guests' else 'loss' end as check_name,
            case when amounts.quarantine_id is not null then 1 else 0 end as is_money,
            amounts.currency,
            amounts.amount,
            quarantine.quarantined_at
        from quarantine
        left join admitted on admitted.quarantine_id = quarantine.quarantine_id
        left join amounts on amounts.quarantine_id = quarantine.quarantine_id
        where admitted.quarantine_id is null and quarantine.reason not in ('duplicate', 'erased')
    ),

    by_currency as (
        select
            check_name,
            currency,
            count(*) as row_count,
            sum(case when is_money = 1 then amount end) as amount,
            sum(case when is_money = 1 and amount is not null then 1 else 0 end) as amount_count,
            sum(case when is_money = 1 and amount is null then 1 else 0 end) as unread_count,
            max(quarantined_at) as newest_at
        from entries
        group by check_name, currency
    ),

    means as (
        select currency, {{ ratio("sum(amount)", "sum(amount_count)") }} as mean_amount
        from by_currency
        group by currency
    ),

    sums as (
        select
            by_currency.check_name,
            sum(by_currency.row_count) as row_count,
            sum(
                {{ whole(
                    "1000000.0E0 * (coalesce(" ~ ratio("by_currency.amount", "means.mean_amount") ~ ", 0.0E0)"
                    ~ " + by_currency.unread_count)"
                ) }}
            ) as money_count,
            max(by_currency.newest_at) as newest_at
        from by_currency
        left join means on means.currency = by_currency.currency
        group by by_currency.check_name
    ),

    shares as (
        select
            sums.*,
            {{ ratio("row_count", "sum(row_count) over ()") }} as row_share,
            {{ ratio("money_count", "sum(money_count) over ()") }} as money_share
        from sums
    )

{% for subject, share in [("rows", "row_share"), ("money", "money_share")] %}
    select
        cast(check_name as string) as check_name,
        cast('{{ subject }}' as string) as subject,
        cast(null as string) as source,
        {{ share }} as measured_value,
        cast(null as double) as usual_value,
        newest_at
    from shares
    where check_name <> 'kept' and {{ share }} is not null
    {% if not loop.last %}
        union all
    {% endif %}
{% endfor %}
