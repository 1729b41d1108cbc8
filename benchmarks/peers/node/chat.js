// The chat with socket.io on Node.

const { createServer } = require("node:http");
const { Server } = require("socket.io");
const jwt = require("jsonwebtoken");
const serveChat = require("../socketio_chat.js");

const http = createServer();
serveChat(new Server(http, { cors: { origin: "*" } }), jwt);
http.listen(Number(process.env.PORT), "127.0.0.1");
