from dbt.adapters.duckdb.plugins import BasePlugin
class Plugin(BasePlugin):
    pass
