-- Grain: group x step: how what buyers spent spread around what was expected of them, out of time.
-- Bounds come from the same ratios; so does `chance_of_at_least`, a function of the published file.
{% set plan = scoring_plan() %}
{% set groups = plan.model.calibration.amounts if plan.model is not none else [] %}

with
    steps as (
        {% for group in groups or [] %}
            {% set last = group.ratios | length - 1 %}
            {% for number in range(last) %}
                select
                    {{ loop.index }} as step,
                    {{ number_or(group.expected_from, "-Infinity") }} as expected_from,
                    {{ number_or(group.expected_below, "Infinity") }} as expected_below,
                    {{ group.buyers }} as buyers,
                    {{ number_or(number / last, 0) }} as share_from,
                    {{ number_or((number + 1) / last, 0) }} as share_to,
                    {{ number_or(group.ratios[number], 0) }} as ratio_from,
                    {{ number_or(group.ratios[number + 1], 0) }} as ratio_to,
                    '{{ plan.model.version }}' as model_version
                    {{ "union all" if not loop.last }}
                {% endfor %} {{ "union all" if not loop.last }}
        {% else %}
            select
                null as step,
                null as expected_from,
                null as expected_below,
                null as buyers,
                null as share_from,
                null as share_to,
                null as ratio_from,
                null as ratio_to,
                null as model_version
            where false
        {% endfor %}
    )

select
    cast(step as int) as step,
    cast(expected_from as double) as expected_from,
    cast(expected_below as double) as expected_below,
    cast(buyers as int) as buyers,
    cast(share_from as double) as share_from,
    cast(share_to as double) as share_to,
    cast(ratio_from as double) as ratio_from,
    cast(ratio_to as double) as ratio_to,
    cast(model_version as string) as model_version
from steps
