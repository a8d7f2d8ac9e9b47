// Loaded before Azurite: whoever started it holds the other end of standard input. When that process is gone, however
// it went, the pipe closes and Azurite goes too, so that a killed test leaves nothing behind.
process.stdin.resume();
process.stdin.on("end", () => process.kill(process.pid, "SIGTERM"));
