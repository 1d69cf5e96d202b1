// The vendor's new Node core (@alicloud/openapi-core, ACS3-HMAC-SHA256) against the emulator. usage: node_v3.js HOST:PORT
'use strict';
const { default: Client, $OpenApiUtil } = require('@alicloud/openapi-core');
const { run } = require('./job');

const call = (place) => (secret) => {
  const client = new Client(new $OpenApiUtil.Config({
    accessKeyId: 'testid',
    accessKeySecret: secret,
    endpoint: process.argv[2],
    protocol: 'http',
    readTimeout: 10000,
    connectTimeout: 5000,
  }));
  return async (action, params) => {
    // The service takes this action with GET alone.
    const get = action === 'GetMediaRefreshJobs';
    const operation = new $OpenApiUtil.Params({
      action,
      version: '2017-03-21',
      protocol: 'HTTP',
      pathname: '/',
      method: get ? 'GET' : 'POST',
      authType: 'AK',
      style: 'RPC',
      reqBodyType: 'formData',
      bodyType: 'json',
    });
    const request = new $OpenApiUtil.OpenApiRequest({ [get ? 'query' : place]: params });
    return (await client.callApi(operation, request, {})).body;
  };
};

run('V3 Node, query', call('query')).then(() => run('V3 Node, form', call('body'))).then(() => process.exit());
