//! Events: where they come in, and who may send them.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::connection::absolute;
use super::media::text;
use crate::listen::ListenAddress;

/// The journal keeps them too: they must hold no secret.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[command(next_help_heading = "Events")]
#[serde(default)]
pub(crate) struct EventArgs {
    /// Receive events here, as `:8080`; port 0 picks one and prints it [default: off, jobs are looked up]
    #[arg(long, value_name = "ADDR")]
    pub(crate) callback_listen: Option<ListenAddress>,
    /// The public URL that VOD calls: signatures are checked against it, and VOD is asked to call it
    /// [default: http://ADDR/ when listening]
    #[arg(long, value_name = "URL", value_parser = url)]
    pub(crate) callback_url: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) key: KeyArgs,
    /// Listen on an address other than loopback without a key all the same [default: refuse, exit 3]
    #[arg(long, requires = "callback_listen")]
    pub(crate) allow_unsigned_callbacks: bool,
    /// Receive events from this SMQ queue: `https://ACCOUNT.mns.REGION.aliyuncs.com/queues/NAME`
    /// [default: off]
    #[arg(long, value_name = "URL", value_parser = text())]
    pub(crate) queue: Option<String>,
}

/// The key of `X-VOD-SIGNATURE`. Never an option: others can read those.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeyArgs {
    /// File with the key of X-VOD-SIGNATURE; a second line is accepted during rotation
    /// [env: VOD_REFRESH_CALLBACK_AUTH_KEY=key[,key]] [default: none]
    #[arg(long, value_name = "FILE")]
    pub(crate) callback_auth_key_file: Option<PathBuf>,
}

impl EventArgs {
    /// Whether events can come in at all.
    pub(crate) fn any(&self) -> bool {
        self.callback_listen.is_some() || self.queue.is_some()
    }

    /// The settings, good in any folder.
    pub(crate) fn settled(&self) -> Self {
        let file = self.key.callback_auth_key_file.as_deref().map(absolute);
        Self { key: KeyArgs { callback_auth_key_file: file }, ..self.clone() }
    }

    /// What was given here, else what `stored` says.
    pub(crate) fn or(&self, stored: &Self) -> Self {
        let file = self.key.callback_auth_key_file.as_deref().map(absolute);
        let file = file.or_else(|| stored.key.callback_auth_key_file.clone());
        Self {
            callback_listen: self.callback_listen.or(stored.callback_listen),
            callback_url: self.callback_url.clone().or_else(|| stored.callback_url.clone()),
            key: KeyArgs { callback_auth_key_file: file },
            allow_unsigned_callbacks: self.allow_unsigned_callbacks || stored.allow_unsigned_callbacks,
            queue: self.queue.clone().or_else(|| stored.queue.clone()),
        }
    }

    /// The options as words, to repeat them on another command line.
    pub(crate) fn words(&self) -> Vec<String> {
        let file = self.key.callback_auth_key_file.as_deref().map(|path| path.display().to_string());
        let pairs = [
            ("--callback-listen", self.callback_listen.map(|address| address.to_string())),
            ("--callback-url", self.callback_url.clone()),
            ("--callback-auth-key-file", file),
            ("--queue", self.queue.clone()),
        ];
        let given = pairs.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?]));
        let mut words: Vec<String> = given.flatten().collect();
        if self.allow_unsigned_callbacks {
            words.push("--allow-unsigned-callbacks".to_owned());
        }
        words
    }
}

/// A callback URL, kept character for character: it is part of what is signed.
pub(super) fn url(text: &str) -> Result<String, String> {
    let uri: http::Uri = text.parse().map_err(|_| "not a URL".to_owned())?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => {}
        _ => return Err("write it as `https://host/path`".to_owned()),
    }
    // Source: "SetMessageCallback", parameter `CallbackURL`.
    match text.len() {
        ..=256 => Ok(text.to_owned()),
        bytes => Err(format!("it has {bytes} bytes, VOD takes 256")),
    }
}
