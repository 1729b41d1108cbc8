// Drives official Socket.IO clients on behalf of a test, which speaks lines of JSON.
//
// In:  { do: "open", socket, url, options } | { do: "emit", socket, args, ack? } | { do: "close", socket }
// Out: { socket, is, ... } where `is` is one of connect, connect_error, disconnect, upgrade, event, ack.
"use strict";
const { io } = require("socket.io-client");
const readline = require("readline");

const sockets = new Map();
const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n");

function open({ socket: name, url, options }) {
  const socket = io(url, { forceNew: true, ...options });
  sockets.set(name, socket);
  socket.io.engine.on("upgrade", () => tell({ socket: name, is: "upgrade" }));
  socket.on("connect", () => tell({ socket: name, is: "connect" }));
  socket.on("connect_error", (error) =>
    tell({ socket: name, is: "connect_error", message: error.message, data: error.data ?? null }));
  socket.on("disconnect", (reason) => tell({ socket: name, is: "disconnect", reason }));
  socket.onAny((event, ...args) => tell({ socket: name, is: "event", event, args }));
}

function emit({ socket: name, args, ack }) {
  const socket = sockets.get(name);
  if (ack === undefined) socket.emit(...args);
  else socket.emit(...args, (...answer) => tell({ socket: name, is: "ack", ack, answer }));
}

function close({ socket: name }) {
  sockets.get(name).disconnect();
}

const verbs = { open, emit, close };
readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => { const order = JSON.parse(line); verbs[order.do](order); })
  .on("close", () => sockets.forEach((socket) => socket.disconnect()));
