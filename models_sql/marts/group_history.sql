-- Grain: as_of_date x kind x group_name x customer_id, for every scoring date so far: which lists and
-- which RFM segment a customer was in, and what was expected of them. Kept, since lists of a past date
-- cannot be made again: what came of a group, and of its control group, is measured against it.
{{ config(
    materialized="incremental",
    incremental_strategy="delete+insert" if target.type == "duckdb" else "insert_overwrite",
    unique_key="as_of_date",
    partition_by="as_of_date" if target.type == "spark" else none
) }}

with
    customers as (select customer_id, is_hindsight from {{ ref("customer_clv") }}),

    actions as (select * from {{ ref("customer_actions") }}),

    segments as (select * from {{ ref("customer_segments") }}),

    members as (
        select
            as_of_date,
            customer_id,
            'list' as kind,
            list_name as group_name,
            is_control_group,
            money_at_stake as expected_revenue
        from actions
        union all
        select
            as_of_date,
            customer_id,
            'rfm_segment' as kind,
            rfm_segment as group_name,
            false as is_control_group,
            clv_estimate as expected_revenue
        from segments
    )

select
    members.customer_id,
    members.as_of_date,
    cast(members.kind as string) as kind,
    members.group_name,
    members.is_control_group,
    members.expected_revenue,
    customers.is_hindsight
from members
inner join customers on customers.customer_id = members.customer_id
