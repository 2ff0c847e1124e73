{#- Feeds that were taken back: a customer's history as it stood up to then, beside the one that stands today. -#}
{#- What parts a customer's number from the end of a past stretch: a character that no number has. -#}
{% macro past_mark() -%} chr(31) {%- endmacro %}

{#- Whether a row (known_at, undone_at) belongs to a history: today's has what stands, a past one what was known by its end
    and had not been taken back before. Reads the CTE `histories`. -#}
{% macro belongs_to_history(rows) -%}
    (
        (histories.known_until is null and {{ rows }}.undone_at is null)
        or (
            {{ rows }}.known_at < histories.known_until
            and ({{ rows }}.undone_at is null or {{ rows }}.undone_at >= histories.known_until)
        )
    )
{%- endmacro %}

{#- The CTE `<states>_of_customers`: states of histories under the customers' own numbers, each only as long as its history
    holds. Reads the CTE `histories`. -#}
{% macro states_of_customers(states) -%}
    {{ states }}_of_customers as (
        select
            coalesce(histories.customer_id, {{ states }}.customer_id) as person_id,
            greatest({{ states }}.known_from, histories.known_from) as counts_from,
            least({{ states }}.known_until, histories.known_until) as counts_until,
            {{ states }}.*
        from {{ states }}
        left join histories on histories.history_id = {{ states }}.customer_id
        where
            (histories.known_until is null or {{ states }}.known_from < histories.known_until)
            and (
                histories.known_from is null
                or {{ states }}.known_until is null
                or {{ states }}.known_until > histories.known_from
            )
    )
{%- endmacro %}
