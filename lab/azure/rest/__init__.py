"""ARM's face: paths to functions, model to JSON. No sockets and no waiting here."""
