-- The newest date that a training today could learn from, and the newest that a version has learned from.
select
    max(case when is_labelled then as_of_date end) as newest_labelled,
    (select max(trained_through) from model_registry where version = $version) as learned_until
from as_of_dates
