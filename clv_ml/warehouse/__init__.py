"""The only rooms that open the database, call dbt, lock or replace files."""
