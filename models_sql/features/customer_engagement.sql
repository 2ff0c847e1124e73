-- Grain: customer_id x as_of_date. Browsing before the date. A shop that does not track sessions, page
-- views or carts has NULL there; one that does has 0 for a customer who never came.
with
    spine as (select * from {{ ref("int_spine") }} where {{ is_wanted("as_of_date") }}),

    dates as (select * from {{ ref("as_of_dates") }} where {{ is_wanted("as_of_date") }}),

    visits as (select * from {{ ref("int_sessions") }}),

    purchases as (select * from {{ ref("customer_rfm") }} where {{ is_wanted("as_of_date") }}),

    visited as (
        select
            visits.customer_id,
            dates.as_of_date,
            sum(visits.session_count) as sessions,
            sum(visits.page_view_count) as page_views,
            sum(visits.cart_session_count) as carts,
            sum(visits.bought_cart_session_count) as bought_carts,
            sum(
                case
                    when {{ in_lookback("visits.happened_on", "dates.as_of_date", 30) }}
                    then visits.session_count
                    else 0
                end
            ) as sessions_30d,
            sum(
                case
                    when {{ in_lookback("visits.happened_on", "dates.as_of_date", 90) }}
                    then visits.session_count
                    else 0
                end
            ) as sessions_90d,
            max(case when visits.session_count > 0 then visits.happened_on end) as last_session_on
        from dates
        inner join
            visits on {{ state_known_before("visits.known_on", "visits.known_until", "dates.as_of_date") }}
        group by visits.customer_id, dates.as_of_date
    ),

    tracked as (
        select
            as_of_date,
            sum(sessions) > 0 as tracks_sessions,
            sum(page_views) > 0 as tracks_page_views,
            sum(carts) > 0 as tracks_carts
        from visited
        group by as_of_date
    ),

    counted as (
        select
            spine.customer_id,
            spine.as_of_date,
            spine.build_hash,
            case when tracked.tracks_sessions then coalesce(visited.sessions, 0) end as sessions,
            case when tracked.tracks_page_views then coalesce(visited.page_views, 0) end as page_views,
            case when tracked.tracks_carts then coalesce(visited.carts, 0) end as carts,
            case when tracked.tracks_carts then coalesce(visited.bought_carts, 0) end as bought_carts,
            case when tracked.tracks_sessions then coalesce(visited.sessions_30d, 0) end as sessions_30d,
            case when tracked.tracks_sessions then coalesce(visited.sessions_90d, 0) end as sessions_90d,
            visited.last_session_on
        from spine
        left join tracked on tracked.as_of_date = spine.as_of_date
        left join visited on visited.customer_id = spine.customer_id and visited.as_of_date = spine.as_of_date
    )

select
    counted.customer_id,
    counted.as_of_date,
    cast(counted.sessions as bigint) as total_sessions,
    cast(counted.page_views as bigint) as total_page_views,
    cast(counted.sessions_30d as bigint) as session_count_30d,
    cast(counted.sessions_90d as bigint) as session_count_90d,
    -- a day counts as whole once it is over, so that a visit and the purchase made in it are equally long
    -- ago
    {{ days_between("counted.last_session_on", "counted.as_of_date") }} - 1 as days_since_last_session,
    {{ ratio("counted.carts - counted.bought_carts", "counted.carts") }} as cart_abandonment_rate,
    {{ ratio("coalesce(purchases.total_items, 0)", "counted.sessions") }} as items_per_session,
    {{ ratio("purchases.total_revenue", "counted.sessions") }} as revenue_per_session,
    {{ ratio("purchases.total_purchases", "counted.sessions") }} as purchase_per_session,
    {{ ratio("counted.page_views", "purchases.total_purchases") }} as pages_per_purchase,
    counted.build_hash
from counted
inner join
    purchases on purchases.customer_id = counted.customer_id and purchases.as_of_date = counted.as_of_date
