-- Grain: customer_id x list_name, on the scoring date: whom to do something about, why in words with
-- the customer's own figures, and what is expected of them. A customer may be on several lists. A tenth
-- of each list is its control group: leave them alone, and what the others spend more is what the
-- campaign did.
{% set silence = silence_words() %}
{% set chance = chance_words() %}

with
    facts as (select * from {{ ref("action_facts") }}),

    listed as (
        select
            facts.*,
            'protect' as list_name,
            {{ silence }} || {{ chance }} || {{ earlier_chance_words() }} as reason
        from facts
        where
            is_valuable
            and certainty in ('high', 'medium')
            and (
                overdue_ratio >= {{ late_ratio() }}
                or earlier_order_probability - order_probability >= {{ large_fall_of_chance() }}
            )
        union all
        select facts.*, 'win_back' as list_name, {{ silence }} || {{ chance }} as reason
        from facts
        where
            total_purchases > 1
            and overdue_ratio >= {{ late_ratio() }}
            and certainty = 'low'
            and order_probability >= {{ hardly_ever() }}
        union all
        select facts.*, 'second_order' as list_name, {{ silence }} || {{ chance }} as reason
        from facts
        where
            total_purchases = 1
            and order_probability >= {{ hardly_ever() }}
            and order_probability >= single_order_probability
        union all
        select
            facts.*,
            'rising' as list_name,
            {{ template_text("expected to bring {value:money}", "clv_estimate") }}
            || {{ template_text(", {value:money} on ", "earlier_clv_predicted") }}
            || cast(earlier_as_of_date as string)
            || {{ template_text("; {value:.0f} orders so far", "total_purchases") }} as reason
        from facts
        where has_bought_since and own_growth >= {{ large_rise() }}
        union all
        select facts.*, 'do_not_discount' as list_name, {{ silence }} || {{ chance }} as reason
        from facts
        where is_valuable and certainty = 'high' and overdue_ratio < 1
        union all
        select
            facts.*,
            'returned_everything' as list_name,
            'gave back all that they had bought' || {{ chance }} as reason
        from facts
        where behavior_type = 'returned'
    )

select
    customer_id,
    as_of_date,
    cast(list_name as string) as list_name,
    cast(reason as string) as reason,
    clv_estimate as money_at_stake,
    order_probability,
    {{ is_control("customer_id", "list_name") }} as is_control_group
from listed
