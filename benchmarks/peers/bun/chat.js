// The chat with socket.io on Bun, with Socket.IO's own engine for it: the fastest server that its
// authors offer.

const { Server } = require("socket.io");
const { Server: Engine } = require("@socket.io/bun-engine");
const jwt = require("jsonwebtoken");
const serveChat = require("../socketio_chat.js");

const io = new Server();
const engine = new Engine({ path: "/socket.io/", cors: { origin: "*" } });
io.bind(engine);
serveChat(io, jwt);
Bun.serve({ port: Number(process.env.PORT), hostname: "127.0.0.1", ...engine.handler() });
