// The chat in its fewest lines of socket.io: what a user would pick instead.
// It has no validation, no store, no order of its own and no retries.

const { randomUUID } = require("node:crypto");

/** Serve the chat on a socket.io server; `jwt` is the package jsonwebtoken of the caller. */
module.exports = function serveChat(io, jwt) {
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
};
