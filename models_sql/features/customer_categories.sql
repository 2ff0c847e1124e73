-- Grain: customer_id x as_of_date. How the customer's spend spreads over categories; NULL where no category
-- is known.
with
    spine as (select * from {{ ref("int_spine") }} where {{ is_wanted("as_of_date") }}),

    shares as (select * from {{ ref("int_category_shares") }} where {{ is_wanted("as_of_date") }}),

    spread as (
        select
            customer_id,
            as_of_date,
            max(category_share) as top_category_concentration,
            count(*) as category_diversity_count
        from shares
        group by customer_id, as_of_date
    )

select
    spine.customer_id,
    spine.as_of_date,
    spread.top_category_concentration,
    cast(spread.category_diversity_count as int) as category_diversity_count,
    spine.build_hash
from spine
left join spread on spread.customer_id = spine.customer_id and spread.as_of_date = spine.as_of_date
