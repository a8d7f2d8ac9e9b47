"""The lab: stand-ins, a host and scenarios that run the keeper without Azure. Never deployed."""
