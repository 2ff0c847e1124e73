"""What people look at: text in a terminal, the report, charts and tables. Opens no warehouse."""
