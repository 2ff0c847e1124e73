-- Grain: one row per new merge of the feed that leads back to where it began. In one step or several, by the
-- newest merge of each number: who is meant cannot be told. All of a circle are refused, whatever their
-- order. Where there is no circle, what begins a chain of more than 64 merges, which dbt does not follow.
with recursive
    merges as (
        select old_customer_id, new_customer_id, merged_at, cast(null as bigint) as feed_row
        from known_id_history
        union all
        select old_customer_id, new_customer_id, merged_at, feed_row
        from checked
        where is_new
    ),

    newest as (
        select *
        from merges
        qualify row_number() over (partition by old_customer_id order by merged_at desc, new_customer_id) = 1
    ),

    walked as (
        select old_customer_id as began, new_customer_id as reached, 1 as steps
        from newest
        union all
        select walked.began, newest.new_customer_id, walked.steps + 1
        from walked
        inner join newest on newest.old_customer_id = walked.reached
        where walked.steps <= 64 and walked.reached <> walked.began
    ),

    circles as (select began from walked where reached = began),

    endless as (
        select began
        from circles
        union all
        select began
        from walked
        where steps > 64 and not exists (select 1 from circles)
    )

select newest.feed_row
from newest
where newest.feed_row is not null and newest.old_customer_id in (select began from endless)
