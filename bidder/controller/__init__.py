"""The controller: campaigns in Postgres become the published book; budgets become leases."""
