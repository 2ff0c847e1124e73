-- Every check of what arrived, the worst first.
select check_name, subject, source, measured_value, usual_value, newest_at, status
from data_quality
order by status = 'ok', status = 'warn', check_name, subject, source nulls first
