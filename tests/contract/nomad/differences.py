"""What the subjects may answer otherwise than the recording, step by step, each with its reason.

STAND_IN is asserted to be exact: a difference that is not here fails, and so does one that is here and does not appear.
REAL lists steps at which a real 1.6.5 was seen to answer now this way, now the other: there a difference is no news.
"""

from __future__ import annotations

type Table = dict[tuple[str, int], str]

_FIRST_NODE = "a failure is told of the node that was tried first, and nodes are tried in random order"
_MOMENT = "the recorder read the list within the milliseconds in which the newest evaluation was pending"
_PLACEMENT = "which nodes were drained before, and so which carry marks, follows from where allocations were placed"
_EARLY = "the evaluation is read some milliseconds after the job was registered, and may be pending on a busy machine"
_LOOKED = "how many nodes were looked at before the chosen one is chance"
_STARTS = "how far forty starts have come after two seconds; in the stand-in they all run by then"
_LOST = (
    "lost allocations of a client that came back had ended when it was purged three seconds later; in the recording they "
    "still ran, and so were lost for good. A real one was seen to do it this way too"
)

STAND_IN: Table = {
    ("02-demand", 83): _FIRST_NODE,
    ("02-demand", 143): _LOOKED,
    **{("02-demand", number): _STARTS for number in (155, 156)},
    ("04-drain", 75): _PLACEMENT,
    **{("05-node-lifecycle", number): _MOMENT for number in (11, 12)},
    ("05-node-lifecycle", 20): "the last event says that the node registered again, a real one's says by heartbeat",
    **{("05-node-lifecycle", number): _LOST for number in (27, 29, 35, 38)},
}

REAL: Table = {
    **{("02-demand", number): _FIRST_NODE for number in (79, 81, 83)},
    **{("02-demand", number): _STARTS for number in (155, 156, 157)},
    ("02-demand", 13): "whether the newest evaluation is the blocked one or the one that blocked it, by milliseconds",
    **{("02-demand", number): _EARLY for number in (40, 41, 117)},
    ("02-demand", 120): "how many evaluations preemption and the deployment watcher have made by then",
    ("02-demand", 143): _LOOKED,
    **{
        (
            "03-capacity-arrives",
            number,
        ): "two evaluations wait for the new node, and which is first decides who gets room"
        for number in (2, 4, 5, 6, 7, 8, 10, 11, 14, 16, 17, 18, 19, 20, 21)
    },
    **{("04-drain", number): _PLACEMENT for number in (75, 82)},
    **{("05-node-lifecycle", number): _PLACEMENT for number in (5, 8, 9, 41)},
    **{("05-node-lifecycle", number): _MOMENT for number in (11, 12)},
    **{("05-node-lifecycle", number): _LOST for number in (24, 27, 29, 35, 38)},
    ("12-blocking-leader", 41): (
        "Raft takes no snapshot while the newest change of its members waits to be applied, and when the autopilot made "
        "the last one is chance"
    ),
}
