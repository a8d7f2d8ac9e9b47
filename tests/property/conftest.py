"""Profiles: `dev` for a quick run, `ci` for the proof (`pytest --hypothesis-profile ci tests/property`), `mutants` to judge faults."""

from hypothesis import HealthCheck, Phase, settings

SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("dev", max_examples=100, deadline=None, suppress_health_check=SLOW_TO_DRAW)
settings.register_profile(
    "ci", max_examples=1000, deadline=None, derandomize=True, suppress_health_check=SLOW_TO_DRAW, print_blob=True
)
settings.register_profile(
    "mutants",
    max_examples=300,
    deadline=None,
    derandomize=False,
    suppress_health_check=SLOW_TO_DRAW,
    phases=[Phase.generate],
    database=None,
)
# Hypothesis starts in its own "ci" profile where the variable CI is set.
settings.load_profile("ci" if settings.get_current_profile_name() == "ci" else "dev")
