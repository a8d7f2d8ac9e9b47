"""One controller per duty; each is the same circle: observe, plan, guard, act, report."""
