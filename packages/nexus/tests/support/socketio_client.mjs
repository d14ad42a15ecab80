// Where the JavaScript client is driven by a test: one JSON command a line in, one event a line out.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { io } = createRequire(process.argv[2])("socket.io-client");
const say = (name, data) => process.stdout.write(JSON.stringify([name, data ?? null]) + "\n");
let socket;

const commands = {
  connect({ url, options }) {
    socket = io(url, { transports: ["websocket"], forceNew: true, ...options });
    socket.on("connect", () => say("connect"));
    socket.on("connect_error", (error) =>
      say("connect_error", { message: error.message, data: error.data }));
    socket.on("disconnect", (reason) => say("disconnect", reason));
    socket.onAny((name, data) => say(name, data));
    socket.io.on("ping", () => say("ping"));
  },
  emit: ({ name, data }) => socket.emit(name, data),
  blob: ({ name }) => socket.emit(name, Buffer.from([1, 2, 3])),
  call: ({ name, data, number }) =>
    socket.emit(name, data, (answer) => say("ack", { number, answer })),
  disconnect: () => socket.disconnect(),
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on("close", () => process.exit(0));
