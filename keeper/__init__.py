"""The keeper: gives a Nomad cluster on Azure the right size, repairs it, backs it up and keeps it in date."""
