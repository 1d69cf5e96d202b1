//! What a scenario can't mean. In a file it is an error; a duration too long that was given in Rust is cut.

use std::time::Duration;

use super::duration::LONGEST;
use super::fault::Fault;
use super::gate;
use super::media::MediaScript;
use super::rules::FaultRule;
use super::scenario::Scenario;
use super::sts::Sts;
use super::telling::OneByOne;

/// Most URLs of a media, most messages in a queue, most calls a second.
const MOST: usize = 1_000_000;
/// Seconds of a hundred years.
const MOST_OFFSET: u64 = 36_525 * 86_400;

impl Scenario {
    /// What the types do not rule out: a misspelt action would never match, and nobody would notice.
    pub(super) fn check(&self) -> Result<(), String> {
        let known = |field: String, action: &str| {
            if gate::is_known(action) {
                Ok(())
            } else {
                Err(format!("{field}: there is no action {action:?}"))
            }
        };
        for (n, rule) in self.faults.iter().enumerate() {
            if rule.action != "*" {
                known(format!("faults[{n}].action"), &rule.action)?;
            }
            if let Some(status) = rule.fault.status().filter(|status| !(200..600).contains(status)) {
                return Err(format!("faults[{n}].fault: {status} is no status of an answer, 200 to 599 are"));
            }
        }
        for (n, action) in self.deny.iter().enumerate() {
            known(format!("deny[{n}]"), action)?;
        }
        for (action, rate) in &self.rates {
            known("rates".into(), action)?;
            if !(0.0..=MOST as f64).contains(rate) {
                return Err(format!("rates.{action}: {rate} is no rate, 0 to {MOST} calls a second are"));
            }
        }
        self.check_sizes()?;
        for (id, job) in &self.jobs {
            if !["Refresh", "Preload"].contains(&job.task_type.as_str()) {
                return Err(format!(
                    "jobs.{id}.task_type: {:?} is neither Refresh nor Preload",
                    job.task_type
                ));
            }
        }
        Ok(())
    }

    /// A digit too many, and the cloud would eat up the machine or live outside of what a calendar holds.
    fn check_sizes(&self) -> Result<(), String> {
        if self.clock_offset.unsigned_abs() > MOST_OFFSET {
            return Err(format!("clock_offset: {} is more than a hundred years", self.clock_offset));
        }
        let of_media = |place: String, script: &MediaScript| {
            [
                (format!("{place}.url_count"), script.url_count.unwrap_or_default()),
                (format!("{place}.foreign_rows"), script.foreign_rows),
            ]
        };
        let mut counts = vec![("urls_per_media".to_owned(), self.urls_per_media)];
        counts.extend(of_media("default_media".into(), &self.default_media));
        counts.extend(self.media.iter().flat_map(|(id, script)| of_media(format!("media.{id}"), script)));
        if let Some(queue) = &self.queue {
            counts.push(("queue.foreign".into(), queue.foreign));
            counts.push(("queue.undecodable".into(), queue.undecodable));
        }
        match counts.into_iter().find(|(_, count)| *count > MOST) {
            Some((place, count)) => Err(format!("{place}: {count} is more than {MOST}")),
            None => Ok(()),
        }
    }

    /// The same with durations and a clock offset that a calendar holds.
    pub(super) fn cut(mut self) -> Self {
        let most = MOST_OFFSET as i64;
        self.clock_offset = self.clock_offset.clamp(-most, most);
        cut_all([
            &mut self.latency,
            &mut self.idle_timeout,
            &mut self.job_delay,
            &mut self.event_delay,
            &mut self.pending_for,
            &mut self.task_duration,
            &mut self.task_jitter,
            &mut self.metadata.life,
            &mut self.credentials_uri.life,
        ]);
        if let Some(queue) = &mut self.queue {
            cut_all([&mut queue.visibility_timeout, &mut queue.retention]);
        }
        self.sts = self.sts.cut();
        self.default_media = self.default_media.cut();
        self.media = self.media.into_iter().map(|(id, script)| (id, script.cut())).collect();
        self.faults = self.faults.into_iter().map(FaultRule::cut).collect();
        self
    }
}

impl MediaScript {
    /// The same with durations that a calendar holds.
    pub(super) fn cut(mut self) -> Self {
        let telling = &mut self.telling;
        cut_all([&mut self.invisible_for, &mut self.lookup_empty_for, &mut telling.lookup_pending_for]);
        for told in [&mut telling.rows_one_by_one, &mut telling.lookup_grows] {
            if let OneByOne::Every(span) = told {
                cut_all([span]);
            }
        }
        let optional = [&mut self.task_duration, &mut self.pending_for];
        cut_all(optional.into_iter().chain([&mut self.event.delay, &mut self.event.early]).flatten());
        self
    }
}

impl Sts {
    /// The same with a life that a calendar holds.
    pub(super) fn cut(mut self) -> Self {
        cut_all(&mut self.life);
        self
    }
}

impl FaultRule {
    /// The same with a delay that a calendar holds.
    pub(super) fn cut(mut self) -> Self {
        if let Fault::Delay { by } = &mut self.fault {
            cut_all([by]);
        }
        self
    }
}

fn cut_all<'a>(durations: impl IntoIterator<Item = &'a mut Duration>) {
    durations.into_iter().for_each(|duration| *duration = LONGEST.min(*duration));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_slip_is_named_with_its_place() {
        let table = [
            ("{\n \"job_dealy\": \"1s\"\n}", &["job_dealy", "line 2"][..]),
            ("{\"job_delay\": 5}", &["line 1", "column"]),
            ("{\"job_delay\": \"5\"}", &["\"5\" is no duration", "line 1"]),
            ("{\"media\": {\"m\": {\"mising\": true}}}", &["mising", "line 1"]),
            ("{\"faults\": [{\"fault\": {\"throtle\": {}}}]}", &["throtle", "throttle"]),
            ("{\"faults\": [{\"fault\": {\"throttle\": {\"stats\": 1}}}]}", &["stats", "status"]),
            ("{\"faults\": [{\"action\": \"*\"}]}", &["fault", "missing"]),
            ("{", &["line 1"]),
            (
                "{\"faults\": [{\"action\": \"Refresh\", \"fault\": \"garbage\"}]}",
                &["faults[0].action", "Refresh"],
            ),
            ("{\"faults\": [{\"fault\": {\"html\": {\"status\": 99}}}]}", &["faults[0].fault", "99"]),
            ("{\"deny\": [\"vod:x\"]}", &["deny[0]", "vod:x"]),
            ("{\"rates\": {\"x\": 1}}", &["rates", "x"]),
            ("{\"rates\": {\"AssumeRole\": -1}}", &["rates.AssumeRole", "-1"]),
            ("{\"rates\": {\"AssumeRole\": 6e56}}", &["rates.AssumeRole"]),
            ("{\"clock_offset\": 9000000000000000}", &["clock_offset", "hundred years"]),
            ("{\"job_delay\": \"9000000000h\"}", &["ten years", "line 1"]),
            ("{\"urls_per_media\": 1000001}", &["urls_per_media", "1000000"]),
            ("{\"media\": {\"m\": {\"url_count\": 1000001}}}", &["media.m.url_count"]),
            ("{\"default_media\": {\"foreign_rows\": 1000001}}", &["default_media.foreign_rows"]),
            ("{\"pages\": {\"size\": 0}}", &["nonzero", "line 1"]),
            ("{\"default_media\": {\"telling\": {\"lookup_grows\": \"3\"}}}", &["OneByOne", "line 1"]),
            ("{\"queue\": {\"foreign\": 99999999999}}", &["queue.foreign"]),
            ("{\"jobs\": {\"J1\": {\"task_type\": \"refresh\"}}}", &["jobs.J1.task_type"]),
        ];
        for (text, words) in table {
            let error = Scenario::from_json(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            for word in words {
                assert!(error.message().contains(word), "{error} lacks {word:?}");
            }
        }
    }
}
