"""The Consul of the lab: the endpoints that the keeper uses, and no more."""
