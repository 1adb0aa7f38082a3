'use strict';
// npm `flowdock-stream`: prints "ready", then each message as a line of JSON; lines read are [flow, text] to be said.
const flowdock = require('flowdock-stream');

const [organization, flow] = process.argv.slice(2);
const stream = flowdock.createClient(organization, flow, process.env.FLOWDOCK_TOKEN);
stream.on('ready', () => console.log(JSON.stringify({ ready: stream.flows })));
stream.on('error', (error) => console.error(error.message));
stream.on('data', (message) => console.log(JSON.stringify(message)));
require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const [where, what, about] = JSON.parse(line);
  stream.send(where, what, about);
});
