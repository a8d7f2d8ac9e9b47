// Loaded before Azurite: whoever started it holds the other end of standard input. When that process is gone, however
// it went, the pipe closes and Azurite goes too, so that a killed test leaves nothing behind. `unref` lets Azurite end
// by itself when it was told to.
process.stdin.resume();
process.stdin.unref();
process.stdin.on("end", () => process.kill(process.pid, "SIGTERM"));
