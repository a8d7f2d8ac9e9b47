"""One deterministic model of a Nomad 1.6.5 cluster: state, scheduler, drainer and clients, with the clock handed in."""
