"""`keeper status|plan|explain|op`: a person's way to the HTTP API."""
