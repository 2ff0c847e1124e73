{#- Numbers that somebody chose, each with its unit and its reason in _macros.yml. What a shop may want to change is a
    setting instead; plain conversions of units (7 days, 100 cents) stay where they are used. -#}
{#- Time, and what a line may hold. -#}
{% macro days_per_month() -%} 30.436875e0 {%- endmacro %}

{% macro largest_amount() -%} 1000000000000 {%- endmacro %}

{% macro largest_quantity() -%} 1000000000 {%- endmacro %}

{% macro days_until_overtaken() -%} 92 {%- endmacro %}

{#- The product. -#}
{% macro product_version() -%} {{ return("0.2.0") }} {%- endmacro %}

{#- Returns. -#}
{% macro rounding_difference() -%} 0.01 {%- endmacro %}

{% macro returned_cases_stood_in() -%} 20 {%- endmacro %}

{#- The anchor. -#}
{% macro anchor_mean_share() -%} 0.02e0 {%- endmacro %}

{% macro anchor_estimate_share() -%} (1.0e0 - {{ anchor_mean_share() }}) {%- endmacro %}

{% macro best_weight_kept() -%} 0.5e0 {%- endmacro %}

{% macro best_weight_unknown() -%} 0.5e0 {%- endmacro %}

{% macro smallest_value() -%} 0.01e0 {%- endmacro %}

{% macro smallest_chance() -%} 0.000001e0 {%- endmacro %}

{% macro random_gap_variance() -%} 1.644934067e0 {%- endmacro %}

{% macro largest_exponent() -%} 600.0e0 {%- endmacro %}

{% macro largest_regular_variance() -%} 0.223143551e0 {%- endmacro %}

{% macro least_fit_days() -%} 84 {%- endmacro %}

{% macro least_pace_days() -%} 30 {%- endmacro %}

{#- The level. -#}
{% macro half_trusted_days() -%} 90.0e0 {%- endmacro %}

{% macro days_off_a_year() -%} 16 {%- endmacro %}

{% macro unseen_squared_miss() -%} 0.1e0 {%- endmacro %}

{% macro largest_log_correction() -%} 1.0e0 {%- endmacro %}

{% macro misses_learned_from() -%} 3 {%- endmacro %}

{#- The season. -#}
{% macro season_span_days() -%} 91 {%- endmacro %}

{% macro least_season_span_days() -%} 28 {%- endmacro %}

{% macro largest_log_growth() -%} 0.7e0 {%- endmacro %}

{#- What is shown, and what deserves a look. -#}
{% macro smallest_contribution() -%} 0.005e0 {%- endmacro %}

{% macro came_true_share() -%} 0.5e0 {%- endmacro %}

{% macro least_measured_customers() -%} 20 {%- endmacro %}

{% macro wait_dates_learned_from() -%} 12 {%- endmacro %}

{% macro wait_share_outside() -%} 0.08 {%- endmacro %}

{% macro least_bin_share() -%} 0.0001e0 {%- endmacro %}

{% macro usual_volume_weeks() -%} 8 {%- endmacro %}

{% macro least_usual_weeks() -%} 4 {%- endmacro %}

{% macro chance_deviations() -%} 3.0e0 {%- endmacro %}

{% macro refused_days_listed() -%} 35 {%- endmacro %}

{#- Lists to act on. -#}
{% macro least_days_compared() -%} 28 {%- endmacro %}

{% macro late_ratio() -%} 1.5e0 {%- endmacro %}

{% macro large_fall_of_chance() -%} 0.15e0 {%- endmacro %}

{% macro large_rise() -%} 1.25e0 {%- endmacro %}

{% macro control_share_percent() -%} 10 {%- endmacro %}
