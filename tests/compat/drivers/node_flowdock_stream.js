'use strict';
// npm `flowdock`: prints "connected", then each message of the stream as a line of JSON.
const { Session } = require('flowdock');

const session = new Session(process.env.FLOWDOCK_TOKEN);
session.on('error', (error) => console.error(error.message));
const stream = session.stream(process.argv.slice(2), { active: 'idle', user: 1 });
stream.on('connected', () => console.log('"connected"'));
stream.on('message', (message) => console.log(JSON.stringify(message)));
stream.on('clientError', (status, text) => console.error(status, text));
