-- Grain: one row per model, macro or group of settings that defines features, with the md5 of its
-- uncompiled text. A model remembers these, so that a changed definition is refused by name.
{{ config(materialized="view") }}

{% for name, definition in feature_definitions().items() %}
    select
        cast('{{ name }}' as string) as definition,
        cast('{{ definition }}' as string) as definition_hash
        {{ "union all" if not loop.last }}
{% endfor %}
