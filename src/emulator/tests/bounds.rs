//! Durations and clocks that no calendar holds.

use std::time::Duration;

use super::env::{TestEnv, sleep};
use crate::emulator::{EventScript, Fault, FaultRule, MediaScript, QueueScript, Scenario};

#[tokio::test(start_paused = true)]
async fn durations_that_no_calendar_holds_break_nothing() {
    let most = Duration::MAX;
    let slow_media = MediaScript {
        task_duration: Some(most),
        pending_for: Some(most),
        invisible_for: most,
        lookup_empty_for: most,
        ..MediaScript::default()
    };
    let slow_event = EventScript { delay: Some(most), ..EventScript::default() };
    let early_event = EventScript { early: Some(most), ..EventScript::default() };
    let queue = QueueScript { visibility_timeout: most, retention: most, ..QueueScript::default() };
    let slow_cloud = Scenario { event_delay: most, pending_for: most, task_jitter: most, ..Scenario::new() };
    for scenario in [
        slow_cloud
            .with(|s| s.job_delay = most)
            .with(|s| s.task_duration = most)
            .with(|s| s.queue = Some(queue.clone())),
        Scenario::new().with_media("m", slow_media.clone()),
        Scenario::new()
            .with_media("m", slow_media.with(|m| m.event = slow_event))
            .with(|s| s.queue = Some(queue.clone())),
        Scenario::new()
            .with_media("m", MediaScript::default().with(|m| m.event = early_event))
            .with(|s| s.queue = Some(queue)),
        Scenario::new().with(|s| s.clock_offset = i64::MAX).with(|s| s.latency = most),
        Scenario::new().with(|s| s.clock_offset = i64::MIN),
        Scenario::new()
            .with_fault(FaultRule::on("*", Fault::Delay { by: most }).times(0))
            .with(|s| s.latency = most),
    ] {
        let env = TestEnv::new(scenario.with_callback("http://127.0.0.1:1/", None));
        let submission = [("MediaIds", "m"), ("TaskType", "Refresh")];
        let request = env.request("RefreshMediaPlayUrls", &submission);
        // Where the answer takes ten years, nobody waits for it.
        let _ = tokio::time::timeout(Duration::from_secs(9), env.emulator.handle(request)).await;
        sleep(9_000).await;
        for job in env.emulator.job_ids() {
            let tasks = env.emulator.task_ids(&job, "m");
            let asked = [
                env.request("GetMediaRefreshJobs", &[("MediaRefreshJobId", &job)]),
                env.request("DescribeVodRefreshTasks", &[("TaskId", &tasks[0])]),
            ];
            for request in asked {
                let _ = tokio::time::timeout(Duration::from_secs(9), env.emulator.handle(request)).await;
            }
        }
        env.emulator.put_message("x");
        let _ = env.emulator.queue_messages();
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_long_in_mid_run_is_cut_as_well() {
    let env = TestEnv::new(Scenario::new());
    env.emulator.add_fault(FaultRule::on("GetMediaRefreshJobs", Fault::Delay { by: Duration::MAX }));
    let script = MediaScript { task_duration: Some(Duration::MAX), ..MediaScript::default() };
    env.emulator.set_media("m", script);
    let job = env.submit("m").await;
    sleep(300).await;
    // Ten years, and then the answer is there.
    assert_eq!(env.lookup(&job).await.len(), 1);
}
