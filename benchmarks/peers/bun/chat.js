// The chat in its fewest lines of socket.io on Bun, with Socket.IO's own engine for it: the fastest
// server that its authors offer. It has no validation, no store, no order of its own and no retries.

const { randomUUID } = require("node:crypto");
const { Server } = require("socket.io");
const { Server: Engine } = require("@socket.io/bun-engine");
const jwt = require("jsonwebtoken");

const io = new Server();
const engine = new Engine({ path: "/socket.io/", cors: { origin: "*" } });
io.bind(engine);

io.use((socket, next) => {
  try {
    const { token } = socket.handshake.auth;
    socket.data.userId = jwt.verify(token, process.env.SECRET_KEY, { algorithms: ["HS256"] }).sub;
    next();
  } catch (error) {
    next(error);
  }
});

io.on("connection", (socket) => {
  const { userId } = socket.data;
  socket.join(`user:${userId}`);
  socket.emit("connected", { user_id: userId });

  socket.on("join_room", ({ room_id }, acknowledge) => {
    socket.join(room_id);
    socket.to(room_id).emit("user_joined", { room_id, user_id: userId });
    acknowledge?.({ ok: true });
  });

  socket.on("send_group_message", ({ room_id, content }) => {
    const message_id = randomUUID();
    const message = { message_id, room_id, from_user_id: userId, content };
    socket.to(room_id).emit("receive_group_message", message);
    socket.emit("group_message_delivered", { message_id, room_id });
  });

  socket.on("send_personal_message", ({ to_user_id, content }) => {
    const message_id = randomUUID();
    const message = { message_id, to_user_id, from_user_id: userId, content };
    io.to(`user:${to_user_id}`).emit("receive_personal_message", message);
    socket.emit("personal_message_delivered", { message_id, to_user_id });
  });
});

Bun.serve({ port: Number(process.env.PORT), hostname: "127.0.0.1", ...engine.handler() });
