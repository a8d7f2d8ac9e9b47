"""What the subjects may answer otherwise than the recording, step by step, each with its reason.

STAND_IN is asserted to be exact: a difference that is not here fails, and so does one that is here and does not appear.
REAL lists steps at which a real 1.6.5 was seen to answer now this way, now the other: there a difference is no news.
"""

from __future__ import annotations

type Table = dict[tuple[str, int], str]

_FIRST_NODE = "a failure is told of the node that was tried first, and nodes are tried in random order"
_NEW_NODE = (
    "two evaluations wait for the new node, and which is first decides: in the recording the system job took 1 MHz before "
    "the second allocation of web could; a real one was seen to do it the other way round, as the stand-in does"
)
_MOMENT = "the recorder read the list within the milliseconds in which the newest evaluation was pending"
_PLACEMENT = "which nodes were drained before, and so which carry marks, follows from where allocations were placed"
_STARTS = "how far forty starts have come after two seconds; here they all run by then"

STAND_IN: Table = {
    ("02-demand", 83): _FIRST_NODE,
    ("02-demand", 155): _STARTS,
    ("02-demand", 156): _STARTS,
    ("02-demand", 157): _STARTS,
    **{("03-capacity-arrives", number): _NEW_NODE for number in (2, 4, 5, 6, 7, 8, 10, 11, 14, 20)},
    ("04-drain", 75): _PLACEMENT,
    ("05-node-lifecycle", 11): _MOMENT,
    ("05-node-lifecycle", 12): _MOMENT,
    (
        "05-node-lifecycle",
        20,
    ): "the last event is that the node registered again; the recorded client's heartbeat was first",
    **{
        (
            "05-node-lifecycle",
            number,
        ): "lost allocations of a client that is back end here; the recorded ones were still "
        "running when the node was purged three seconds later, and so were lost for good"
        for number in (27, 29, 35, 38)
    },
}

REAL: Table = {
    **{("02-demand", number): _FIRST_NODE for number in (81, 83)},
    ("02-demand", 13): "whether the newest evaluation is the blocked one or the one that blocked it, by milliseconds",
    ("02-demand", 28): "whether the deployment watcher has made its evaluation yet, by milliseconds",
    ("02-demand", 117): "the evaluation is read 21 ms after the job was registered, and may be pending",
    ("02-demand", 120): "how many evaluations preemption and deployment watcher have made by then",
}
