'use strict';
// Leads Flowdock's host names to the server under test, as an entry in /etc/hosts would: node --require reroute.js
const net = require('net');

const hosts = new Map(process.env.FLOWDOCK_HOSTS.split(',').map((entry) => entry.split('=')));
const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (...given) {
  const listed = Array.isArray(given[0]);
  const options = listed ? given[0][0] : given[0];
  if (hosts.has(options.host)) {
    const [host, port] = hosts.get(options.host).split(':');
    Object.assign(options, { servername: options.servername || options.host, host, port: Number(port) });
  } else if (options.host && options.host !== '127.0.0.1') {
    throw new Error(`${options.host}: no client under test has any business there`);
  }
  return connect.apply(this, given);
};
