'use strict';
// npm `flowdock`: calls [["method", argument, …], …] of a Session read from standard input, what each called back with
// to standard output. A failure is {"error": …}.
const { Session } = require('flowdock');

const session = new Session(process.env.FLOWDOCK_TOKEN || process.env.FLOWDOCK_EMAIL, process.env.FLOWDOCK_LOGIN_PASSWORD);
session.on('error', () => {});

const call = ([method, ...given]) =>
  new Promise((resolve) => {
    session[method](...given, (error, body, response) =>
      resolve(error ? { error: error.message } : { status: response.statusCode, headers: response.headers, body }));
  });

(async () => {
  const calls = JSON.parse(require('fs').readFileSync(0, 'utf8'));
  const answers = [];
  for (const each of calls) answers.push(await call(each));
  process.stdout.write(JSON.stringify(answers));
})();
