// The vendor's Node core (@alicloud/pop-core, signature version 1.0) against the emulator. usage: node_v1.js HOST:PORT
'use strict';
const { RPCClient } = require('@alicloud/pop-core');
const { run } = require('./job');

const call = (method) => (secret) => {
  const client = new RPCClient({
    accessKeyId: 'testid',
    accessKeySecret: secret,
    endpoint: `http://${process.argv[2]}`,
    apiVersion: '2017-03-21',
  });
  // The service takes this action with GET alone.
  const by = (action) => (action === 'GetMediaRefreshJobs' ? 'GET' : method);
  return (action, params) => client.request(action, params, { method: by(action), timeout: 10000 });
};

run('V1 Node, GET', call('GET')).then(() => run('V1 Node, POST', call('POST'))).then(() => process.exit());
