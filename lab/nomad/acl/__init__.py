"""ACLs of the Nomad stand-in: rules, rights, tokens, policies and roles."""
