// The whole job and its refusals, whichever of the vendor's Node cores makes the calls.
'use strict';
const assert = require('assert');
const { check, eventually } = require('./checks');

const ODD = "a~b *+/%!'()中 文";

/// `call(secret)` gives back a function of an action and its parameters.
exports.run = async (name, call) => {
  const say = call('testsecret');
  const ended = (task) => task.Status === 'Complete' || task.Status === 'Failed';

  await check(`${name}: submit, look up, poll to the end`, async () => {
    const said = await say('RefreshMediaPlayUrls', {
      MediaIds: 'n1,n2,half,gone',
      TaskType: 'Refresh',
      UserData: JSON.stringify({ Extend: { text: ODD } }),
    });
    assert.strictEqual(said.NonExistMediaIds, 'gone');
    const rows = await eventually(async () => {
      const { MediaRefreshJobs: shown } =
        await say('GetMediaRefreshJobs', { MediaRefreshJobId: said.MediaRefreshJobId });
      return shown.length === 3 && shown;
    });
    assert.strictEqual(JSON.parse(rows[0].UserData).Extend.text, ODD);
    const tasks = [];
    for (const id of rows.flatMap((row) => row.TaskIds.split(','))) {
      const [task] = await eventually(async () => {
        const found = (await say('DescribeVodRefreshTasks', { TaskId: id })).Tasks.Task;
        return found.length && found.every(ended) && found;
      });
      tasks.push(task.Status);
    }
    assert.deepStrictEqual(tasks.sort(), ['Complete', 'Complete', 'Complete', 'Complete', 'Complete', 'Failed']);
  });

  await check(`${name}: a wrong secret is SignatureDoesNotMatch`, () =>
    assert.rejects(call('wrong')('DescribeVodRefreshQuota', {}), { code: 'SignatureDoesNotMatch' }));

  await check(`${name}: a task id that is none is refused`, () =>
    assert.rejects(say('DescribeVodRefreshTasks', { TaskId: 'no-such-task' }), { code: 'InvalidTaskId.Malformed' }));
};
