//! What the journal keeps of a command line, so that `resume` leads to the same service and hears the same events.

use serde::{Deserialize, Serialize};

use crate::args::connection::ConnectionArgs;
use crate::args::events::EventArgs;

/// Connection and event source of a run. No secret: a key stands here only as the path of its file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    pub(crate) connection: ConnectionArgs,
    pub(crate) events: EventArgs,
}

impl Settings {
    pub(crate) fn to_json(&self) -> serde_json::Value {
        // Our own types always have a JSON form.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// What a run was begun with; the defaults where a library user wrote something else there.
    pub(crate) fn of(stored: &serde_json::Value) -> Self {
        serde_json::from_value(stored.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};
    use crate::world::{World, variable};

    fn parsed(line: &str, world: &World) -> Settings {
        let Command::Wait(args) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else {
            panic!()
        };
        args.run.settings(world)
    }

    const LINE: &str = "vod-refresh wait J1 --task-endpoint http://127.0.0.1:2 --signature-version v3 --max-rps 5 \
                        --ca-file ca.pem --allow-http --callback-listen :8080 --callback-url https://h/vod \
                        --callback-auth-key-file key.txt --allow-unsigned-callbacks";

    #[test]
    fn what_is_kept_comes_back_and_leads_anywhere_to_the_same_place() {
        let world = World::of(vec![
            (variable::ENDPOINT, "http://127.0.0.1:1".to_owned()),
            (variable::CALLBACK_KEY, "MarkOfTheKey".to_owned()),
        ]);
        let kept = parsed(LINE, &world).to_json();
        assert!(!kept.to_string().contains("MarkOfTheKey"));
        let back = Settings::of(&kept);
        assert_eq!(back.to_json(), kept);
        let here = std::env::current_dir().unwrap();
        let words = [back.connection.words(), back.events.words()].concat().join(" ");
        assert_eq!(
            words,
            format!(
                "--endpoint http://127.0.0.1:1 --task-endpoint http://127.0.0.1:2 --signature-version v3 --max-rps 5 \
                 --ca-file {0}/ca.pem --allow-http --callback-listen 0.0.0.0:8080 --callback-url https://h/vod \
                 --callback-auth-key-file {0}/key.txt --allow-unsigned-callbacks",
                here.display()
            )
        );
    }

    #[test]
    fn what_is_given_goes_before_what_is_kept() {
        let world = World::of(Vec::new());
        let kept = parsed(LINE, &world);
        let given = parsed("vod-refresh wait J1 --max-rps 9 --callback-listen 127.0.0.1:0", &world);
        let (connection, events) = (given.connection.or(&kept.connection), given.events.or(&kept.events));
        let words = [connection.words(), events.words()].concat().join(" ");
        assert!(words.contains("--max-rps 9") && words.contains("--signature-version v3"), "{words}");
        assert!(
            words.contains("--callback-listen 127.0.0.1:0") && words.contains("https://h/vod"),
            "{words}"
        );
    }

    #[test]
    fn settings_of_other_versions_and_programs_are_taken_as_far_as_they_go() {
        let other = serde_json::json!({"connection": {"region": "cn-beijing", "later": 1}, "more": []});
        assert_eq!(Settings::of(&other).connection.words(), ["--region", "cn-beijing"]);
        assert!(Settings::of(&serde_json::Value::Null).connection.words().is_empty());
    }
}
