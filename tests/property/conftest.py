"""Profiles: `dev` for a quick run, `ci` for the proof (`pytest --hypothesis-profile ci tests/property`)."""

from hypothesis import HealthCheck, settings

SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("dev", max_examples=100, deadline=None, suppress_health_check=SLOW_TO_DRAW)
settings.register_profile("ci", max_examples=1000, deadline=None, suppress_health_check=SLOW_TO_DRAW, print_blob=True)
settings.load_profile("dev")
