// Checks as `run` counts them: a line `ok NAME` or `FAILED NAME: WHY` each.
'use strict';

exports.check = async (name, act) => {
  try {
    await act();
    console.log(`ok ${name}`);
  } catch (why) {
    process.exitCode = 1;
    console.log(`FAILED ${name}: ${String(why && why.message || why).replace(/\s+/g, ' ')}`);
  }
};

/// The first value of `look` that is true; fails when none comes in time.
exports.eventually = async (look, seconds = 20) => {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not in ${seconds} s`);
    await new Promise((wake) => setTimeout(wake, 200));
  }
};
