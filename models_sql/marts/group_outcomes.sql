-- Grain: as_of_date x kind x group_name x is_control_group: who of a list or a segment has bought since that
-- scoring date, and what they spent, by the rule of labels: up to the end of the horizon, or to today. Not
-- where the model had learned from that time.
with
    members as (select * from {{ ref("group_history") }} where not is_hindsight),

    renamed as (select * from {{ ref("int_customer_ids") }}),

    today as (select as_of_date from {{ ref("int_today") }}),

    orders as (select * from {{ ref("int_orders") }}),

    refunds as (select * from {{ ref("int_refunds") }}),

    -- the label's rule, as far as today knows
    dates as (
        select
            listed.as_of_date,
            {{ days_between("listed.as_of_date", "today.as_of_date") }} as days_past,
            {{ horizon_ends_at("listed.as_of_date") }} as horizon_ends_at,
            least(
                {{ label_known_at("listed.as_of_date") }}, cast(today.as_of_date as timestamp)
            ) as label_known_at
        from (select distinct as_of_date from members) as listed
        inner join today on listed.as_of_date <= today.as_of_date
    ),

    {{ label_parts() }},

    -- numbers that were merged since are one customer
    people as (
        select
            coalesce(renamed.customer_id, members.customer_id) as customer_id,
            members.as_of_date,
            members.kind,
            members.group_name,
            members.is_control_group,
            sum(members.expected_revenue) as expected_revenue
        from members
        left join renamed on renamed.old_customer_id = members.customer_id
        group by
            coalesce(renamed.customer_id, members.customer_id),
            members.as_of_date,
            members.kind,
            members.group_name,
            members.is_control_group
    ),

    spent as (
        select
            people.*,
            dates.days_past,
            case when bought.purchases > 0 then 1 else 0 end as has_bought,
            coalesce(bought.revenue, 0) + coalesce(gave_back.revenue, 0) as revenue
        from people
        inner join dates on dates.as_of_date = people.as_of_date
        left join bought on bought.customer_id = people.customer_id and bought.as_of_date = people.as_of_date
        left join
            gave_back
            on gave_back.customer_id = people.customer_id
            and gave_back.as_of_date = people.as_of_date
    ),

    summed as (
        select
            as_of_date,
            kind,
            group_name,
            is_control_group,
            max(days_past) as days_past,
            count(*) as customer_count,
            sum(has_bought) as buyer_count,
            sum(revenue) as revenue_total,
            sum({{ wide("revenue * 100") }}) as cents,
            sum({{ wide("revenue * 100") }} * {{ wide("revenue * 100") }}) as squared_cents,
            sum(expected_revenue) as expected_total
        from spent
        group by as_of_date, kind, group_name, is_control_group
    )

select
    as_of_date,
    kind,
    group_name,
    is_control_group,
    cast(least(days_past, {{ setting("horizon_days") }}) as int) as days_measured,
    days_past >= {{ setting("horizon_days") }} as is_complete,
    cast(customer_count as bigint) as customer_count,
    {{ ratio("expected_total", "customer_count") }} as expected_mean,
    case when days_past > 0 then cast(buyer_count as bigint) end as buyer_count,
    case when days_past > 0 then {{ ratio("buyer_count", "customer_count") }} end as buyer_share,
    case when days_past > 0 then cast(revenue_total as decimal(18, 2)) end as revenue_total,
    case when days_past > 0 then {{ ratio("revenue_total", "customer_count") }} end as revenue_mean,
    case
        when days_past > 0 then {{ sample_std("customer_count", "cents", "squared_cents") }} / 100.0e0
    end as revenue_std
from summed
