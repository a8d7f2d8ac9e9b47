"""The filter language of the list endpoints, with the error texts of the real one."""

from lab.nomad.http.filter.evaluate import Unfilterable, Unparsable, compiled

__all__ = ["Unfilterable", "Unparsable", "compiled"]
