-- Grain: customer_id. Which group a customer belongs to: by what they did (RFM), by what they are
-- expected to be worth, and by the rhythm in which they buy. Scores compare buyers with buyers of the
-- same scoring date.
{% set high, low = setting("rfm_high_score"), setting("rfm_low_score") %}

with
    customers as (select * from {{ ref("customer_clv") }}),

    -- equal values share a place, the lowest of theirs, and so a score: nobody is split by chance
    ranked as (
        select
            customer_id,
            rank() over (order by days_since_last_purchase desc nulls last) as recency_place,
            rank() over (order by total_purchases nulls last) as frequency_place,
            rank() over (order by total_revenue nulls last) as monetary_place,
            rank() over (order by clv_estimate nulls last) as value_place,
            rank() over (order by clv_estimate desc nulls last) as place_from_the_top,
            count(*) over () as buyers
        from customers
        where total_purchases > 0
    ),

    scored as (
        select
            customer_id,
            {%- for score in ["recency", "frequency", "monetary", "value"] %}
                1 + cast(floor(5.0e0 * ({{ score }}_place - 1) / buyers) as int) as {{ score }}_score,
            {%- endfor %}
            place_from_the_top,
            buyers
        from ranked
    )

select
    customers.customer_id,
    customers.as_of_date,
    cast(scored.recency_score as int) as recency_score,
    cast(scored.frequency_score as int) as frequency_score,
    cast(scored.monetary_score as int) as monetary_score,
    cast(scored.value_score as int) as value_score,
    cast(
        case
            when scored.customer_id is null and customers.behavior_type = 'returned'
            then 'returned'
            when scored.customer_id is null
            then 'no_purchase'
            when customers.behavior_type = 'new'
            then 'new'
            when customers.churn_probability > 1.0e0 - {{ hardly_ever() }}
            then 'lost'
            when
                scored.recency_score >= {{ high }}
                and scored.frequency_score >= {{ high }}
                and scored.monetary_score >= {{ high }}
            then 'champions'
            when
                scored.recency_score > {{ low }}
                and scored.frequency_score >= {{ high }}
                and coalesce(customers.certainty, 'medium') <> 'low'
            then 'loyal'
            when scored.recency_score >= {{ high }}
            then 'promising'
            when scored.frequency_score >= {{ high }}
            then 'at_risk'
            when scored.recency_score > {{ low }}
            then 'needs_attention'
            when scored.monetary_score >= {{ high }}
            then 'at_risk'
            else 'hibernating'
        end as string
    ) as rfm_segment,
    cast(
        case
            when scored.customer_id is null
            then 'none'
            when scored.place_from_the_top <= {{ setting("value_tier_top_share") }} * scored.buyers
            then 'top'
            when scored.place_from_the_top <= {{ setting("value_tier_high_share") }} * scored.buyers
            then 'high'
            when scored.place_from_the_top <= {{ setting("value_tier_medium_share") }} * scored.buyers
            then 'medium'
            else 'low'
        end as string
    ) as value_tier,
    customers.behavior_type,
    customers.clv_estimate
from customers
left join scored on scored.customer_id = customers.customer_id
