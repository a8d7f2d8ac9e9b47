"""What a machine of the cluster does for itself: join, stay in date, leave in order, and nudge the keeper."""
