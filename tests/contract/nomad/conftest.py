"""Says at the end of a run what the conformance suite compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.nomad.real import binary, version

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    from tests.contract.nomad import runs  # noqa: PLC0415 - only when the suite has run

    nomad = binary()
    if nomad is None or not _ran_real(terminalreporter):
        why = "no Nomad binary (NOMAD_BIN or PATH)" if nomad is None else "the real one was not asked"
        terminalreporter.write_line(f"conformance: {why}: stand-in and recordings only")
        return
    results = runs.played(runs.REAL)
    fields = sum(result.compared for result in results.values())
    what = f"{len(results)} steps, {fields} fields" if results else "a part of the suite"
    terminalreporter.write_line(f"conformance: compared with a real Nomad {version(nomad)}: {what}")


def _ran_real(reporter: TerminalReporter) -> bool:
    reports = [*reporter.getreports("passed"), *reporter.getreports("failed")]
    return any("real-" in report.nodeid or "-real]" in report.nodeid for report in reports)
