"""What runs around a model in use: publish, retain, erase, examine, compare, one customer's card."""
