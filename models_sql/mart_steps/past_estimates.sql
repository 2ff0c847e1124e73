-- Grain: as_of_date x customer_id x estimator: what was predicted for a customer on an earlier scoring
-- date against what then happened, for dates whose whole horizon lies within the data; not where the
-- model had learned from that horizon. The model (its mean and its median) and every baseline.
with
    delivered as (
        select max(occurred_at) as newest_at from {{ ref("int_events") }} where counts_until is null
    ),

    history as (
        select *
        from {{ ref("customer_clv_history") }}
        where actual_revenue is not null and not coalesce(is_hindsight, false)
    ),

    baselines as (select * from {{ ref("scored_baselines") }}),

    -- as_of_date may be set to a day that the feed has not reached
    happened as (
        select history.*
        from history
        inner join
            delivered
            on {{ label_known_at("history.as_of_date") }}
            <= cast(delivered.newest_at as date) + interval '1 days'
    ),

    estimates as (
        select
            'model' as estimator,
            happened.*,
            clv_predicted as predicted,
            case
                when actual_revenue >= clv_low and actual_revenue <= clv_high
                then 1
                when clv_low is not null
                then 0
            end as is_inside,
            case when actual_revenue > clv_high then 1 when clv_high is not null then 0 end as is_above,
            clv_prediction_confidence as confidence,
            case when {{ came_true("actual_revenue", "clv_predicted") }} then 1 else 0 end as is_hit,
            churn_probability as churn,
            case when actual_purchases = 0 then 1 else 0 end as is_churned
        from happened
        union all
        select
            'typical' as estimator,
            happened.*,
            clv_typical as predicted,
            null as is_inside,
            null as is_above,
            null as confidence,
            null as is_hit,
            null as churn,
            null as is_churned
        from happened
        {%- for estimator, column in baseline_columns().items() %}
            union all
            select
                '{{ estimator }}' as estimator,
                happened.*,
                cast(baselines.{{ column }} as double) as predicted,
                null as is_inside,
                null as is_above,
                null as confidence,
                null as is_hit,
                null as churn,
                null as is_churned
            from happened
            left join
                baselines
                on baselines.customer_id = happened.customer_id
                and baselines.as_of_date = happened.as_of_date
        {%- endfor %}
    )

select
    as_of_date,
    customer_id,
    cast(estimator as string) as estimator,
    model_version,
    actual_revenue,
    predicted,
    is_inside,
    is_above,
    confidence,
    is_hit,
    churn,
    is_churned
from estimates
