"""The twin: real machines, booted from the customData and userData that the templates produce, in a network like theirs."""
