"""The nudging watcher: what it sees on the Nomad leader's event stream becomes "look now" on the keeper's queue.

    events (pure: which line means which cause) → pace (pure: when to speak) → queue (speak)

It decides nothing: losing every nudge makes the keeper as slow as its timers, a needless one costs it one cheap look.
"""
