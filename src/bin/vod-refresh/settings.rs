//! The options of a run that the journal stores, so that `resume` reaches the same service and the same event sources.

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vod_refresh::ids::{is_masked_address, masked_address};
use vod_refresh::net::HttpOptions;
use vod_refresh::{CredentialOptions, DefaultCredentials};

use crate::args::shared::{ConnectionArgs, EdgeArgs, EventArgs, RunArgs};
use crate::environment::{Environment, variable};

/// Connection, event source and edge check of a run. No secret is stored: of a key the path of its file, of a header that may
/// be one its name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Settings {
    pub(crate) connection: ConnectionArgs,
    pub(crate) events: EventArgs,
    pub(crate) edge: EdgeArgs,
}

impl Settings {
    /// Settings of a new run: the options given, else the environment's values.
    pub(crate) fn new(args: &RunArgs, environment: &Environment) -> Self {
        let connection = settled(&args.connection, environment);
        Self { connection, events: args.events.clone(), edge: args.edge.clone() }
    }

    /// Reads the settings of a stored run; gives the defaults where a library user stored something else.
    pub(crate) fn stored(stored: &Value) -> Self {
        serde_json::from_value(stored.clone()).unwrap_or_default()
    }

    /// The settings of a stored run, overridden by the options given now. The environment was read when the run began, and is
    /// not read again.
    pub(crate) fn stored_or_given(stored: &Value, args: &RunArgs) -> Self {
        let mut merged = Self::stored(stored).to_json();
        let given =
            Self { connection: args.connection.clone(), events: args.events.clone(), ..Self::default() };
        let given = given.to_json();
        for part in ["connection", "events"] {
            for (name, value) in given[part].as_object().into_iter().flatten() {
                let was_given = !matches!(value, Value::Null | Value::Bool(false));
                if was_given {
                    merged[part][name] = value.clone();
                }
            }
        }
        let merged = Self::stored(&merged);
        Self { edge: args.edge.clone().over(merged.edge), ..merged }
    }

    /// As the journal keeps them: of the callback URL neither a password nor the query, which may hold a token.
    pub(crate) fn to_journal(&self) -> Value {
        let mut kept = self.clone();
        kept.events.callback_url = kept.events.callback_url.map(|url| masked_address(&url).into_owned());
        kept.to_json()
    }

    /// The options that a later `resume` must be given again: a callback URL of which the journal keeps a part only, and headers
    /// of which it keeps the name.
    pub(crate) fn not_kept(&self) -> Vec<String> {
        let url = self.events.callback_url.as_deref().map(masked_address);
        let masked = url.filter(|url| self.events.callback_listen.is_some() && is_masked_address(url));
        let url = masked.into_iter().flat_map(|url| ["--callback-url".to_owned(), url.into_owned()]);
        url.chain(self.edge.not_kept()).collect()
    }

    pub(crate) fn to_json(&self) -> Value {
        // Our own types always have a JSON form.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// `given` with the environment's settings where none were given, and the region of the profile that signs where there is none.
///
/// `SSL_CERT_FILE` stays out: it belongs to the machine, not to the run.
pub(crate) fn settled(given: &ConnectionArgs, environment: &Environment) -> ConnectionArgs {
    let or = |given: &Option<String>, name| given.clone().or_else(|| environment.variable(name));
    let endpoint = or(&given.endpoint, variable::ENDPOINT);
    let of_profile = || {
        let options = CredentialOptions::default().with_profile(given.profile.clone());
        let credentials = environment.credentials(&HttpOptions::default());
        DefaultCredentials::in_environment(credentials, options).region().filter(|_| endpoint.is_none())
    };
    ConnectionArgs {
        region: or(&or(&given.region, variable::REGION), variable::VENDOR_REGION).or_else(of_profile),
        task_endpoint: or(&given.task_endpoint, variable::TASK_ENDPOINT),
        endpoint,
        ..given.clone()
    }
}

/// A group of options as words, in the order of the help, to give them again on another command line.
///
/// A group's fields have the names of its options, so the parser's definition and the JSON form suffice.
pub(crate) fn arguments<Group: Args + Serialize>(options: &Group) -> Vec<String> {
    let values = serde_json::to_value(options).unwrap_or_default();
    let mut words = Vec::new();
    for option in Group::augment_args(clap::Command::new("options")).get_arguments() {
        let name = format!("--{}", option.get_long().unwrap_or_default());
        match &values[option.get_id().as_str()] {
            Value::Null | Value::Bool(false) => {}
            Value::Bool(true) => words.push(name),
            Value::String(url) if name == "--callback-url" => {
                words.extend([name, masked_address(url).into_owned()]);
            }
            // Apart, it would be read as an option.
            Value::String(text) if text.starts_with('-') => words.push(format!("{name}={text}")),
            Value::String(text) => words.extend([name, text.clone()]),
            number => words.extend([name, number.to_string()]),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Cli, Command};

    fn parsed(line: &str) -> RunArgs {
        let Command::Wait(args) = Cli::try_parse_from(line.split_whitespace()).unwrap().command else {
            panic!()
        };
        args.run
    }

    fn all_words(settings: &Settings) -> String {
        [arguments(&settings.connection), arguments(&settings.events)].concat().join(" ")
    }

    const LINE: &str = "vod-refresh wait J1 --task-endpoint http://127.0.0.1:2 --signature-version v3 --max-rps 5 \
                        --ca-file ca.pem --allow-http --callback-listen :8080 --callback-url https://h/vod \
                        --callback-auth-key-file key.txt --allow-unsigned-callbacks";

    #[test]
    fn what_is_kept_comes_back_and_leads_anywhere_to_the_same_place() {
        let environment = Environment::of_test(vec![
            (variable::ENDPOINT, "http://127.0.0.1:1".to_owned()),
            (variable::CALLBACK_KEY, "MarkOfTheKey".to_owned()),
        ]);
        let kept = Settings::new(&parsed(LINE), &environment).to_json();
        assert!(!kept.to_string().contains("MarkOfTheKey"));
        let back = Settings::stored(&kept);
        assert_eq!(back.to_json(), kept);
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            all_words(&back),
            format!(
                "--endpoint http://127.0.0.1:1 --task-endpoint http://127.0.0.1:2 --signature-version v3 --max-rps 5 \
                 --ca-file {0}ca.pem --allow-http --callback-listen [::]:8080 --callback-url https://h/vod \
                 --callback-auth-key-file {0}key.txt --allow-unsigned-callbacks",
                here.join("").display()
            )
        );
    }

    #[test]
    fn a_value_that_looks_like_an_option_stays_with_its_option() {
        let words = arguments(&parsed("vod-refresh wait J1 --profile=-prod").connection);
        assert_eq!(words, ["--profile=-prod"]);
    }

    const EDGE: &str = "vod-refresh wait J1 --verify-edge --edge-node 203.0.113.7:8080 --edge-node http://203.0.113.8 \
                        --edge-header referer:https://www.a.test/ --edge-header cookie:MarkOfTheCookie \
                        --edge-auth-key-file key.txt --edge-sample 7";

    #[test]
    fn the_edge_check_is_kept_but_for_headers_that_may_be_secret() {
        let kept = Settings::new(&parsed(EDGE), &Environment::of_test(Vec::new())).to_journal();
        assert!(!kept.to_string().contains("MarkOfTheCookie"), "{kept}");
        let key = std::env::current_dir().unwrap().join("key.txt").display().to_string();
        let words = |header: &str, sample| {
            format!(
                "--verify-edge --edge-node 203.0.113.7:8080 --edge-node http://203.0.113.8 \
                 --edge-header referer:https://www.a.test/ --edge-header {header} --edge-auth-key-file {key} \
                 --edge-sample {sample}"
            )
        };
        let back = Settings::stored(&kept);
        assert_eq!(back.edge.arguments().join(" "), words("cookie:<secret>", 7));
        assert_eq!(back.not_kept().join(" "), "--verify-edge --edge-header cookie:<secret>");
        let given = parsed("vod-refresh wait J1 --verify-edge --edge-header cookie:Again --edge-sample 9");
        let merged = Settings::stored_or_given(&kept, &given).edge;
        assert_eq!(merged.edge_header[1].1, "Again");
        assert_eq!(merged.arguments().join(" "), words("cookie:<secret>", 9));
        // A run without it has nothing of it, and one of which another version kept more has what is known of it.
        assert!(Settings::stored(&serde_json::json!({"edge": []})).edge.arguments().is_empty());
        let later = serde_json::json!({"edge": ["--verify-edge", "--edge-sample", "3", "--edge-later", "x"]});
        assert_eq!(Settings::stored(&later).edge.arguments(), ["--verify-edge", "--edge-sample", "3"]);
    }

    #[test]
    fn a_query_in_a_referer_is_not_kept() {
        let line = "vod-refresh wait J1 --verify-edge --edge-header referer:https://a.test/?token=Mark";
        let settings = Settings::new(&parsed(line), &Environment::of_test(Vec::new()));
        assert!(!settings.to_journal().to_string().contains("Mark"));
        assert_eq!(
            settings.not_kept().join(" "),
            "--verify-edge --edge-header referer:https://a.test/?<secret>"
        );
    }

    #[test]
    fn what_is_given_goes_before_what_is_kept() {
        let kept = Settings::new(&parsed(LINE), &Environment::of_test(Vec::new()));
        let given = parsed("vod-refresh wait J1 --max-rps 9 --callback-listen 127.0.0.1:0");
        let words = all_words(&Settings::stored_or_given(&kept.to_json(), &given));
        assert!(words.contains("--max-rps 9") && words.contains("--signature-version v3"), "{words}");
        assert!(
            words.contains("--callback-listen 127.0.0.1:0") && words.contains("https://h/vod"),
            "{words}"
        );
    }

    #[test]
    fn settings_of_other_versions_and_programs_are_taken_as_far_as_they_go() {
        let other = serde_json::json!({"connection": {"region": "cn-beijing", "later": 1}, "more": []});
        assert_eq!(arguments(&Settings::stored(&other).connection), ["--region", "cn-beijing"]);
        assert!(arguments(&Settings::stored(&Value::Null).connection).is_empty());
    }

    /// As `tests/fixtures/journal-0.1.0.sql` has them.
    #[test]
    fn settings_of_the_first_version_are_read() {
        let stored = r#"{"connection":{"allow_http":false,"ca_file":null,"endpoint":"http://127.0.0.1:8190",
            "max_rps":null,"profile":null,"region":null,"signature_version":"v3","task_endpoint":null},
            "events":{"allow_unsigned_callbacks":false,"callback_auth_key_file":"/etc/key",
            "callback_listen":"127.0.0.1:8191","callback_url":null,"queue":null}}"#;
        assert_eq!(
            all_words(&Settings::stored(&serde_json::from_str(stored).unwrap())),
            "--endpoint http://127.0.0.1:8190 --signature-version v3 --callback-listen 127.0.0.1:8191 \
             --callback-auth-key-file /etc/key"
        );
    }
}
